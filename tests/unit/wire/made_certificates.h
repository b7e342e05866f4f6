/*
 * made_certificates - an authority and what it signs, in files of a folder of its own
 */
#ifndef HERALD_TESTS_MADE_CERTIFICATES_H
#define HERALD_TESTS_MADE_CERTIFICATES_H

#include <stdbool.h>

struct made_certificates {
    char folder[64];
    char ca[96];   /* certificate of the authority */
    char cert[96]; /* what it has signed last */
    char key[96];  /* its key */
    void *ca_key;  /* of OpenSSL, as the next */
    void *ca_cert;
};

/* Makes folder and authority. */
void made_begin(struct made_certificates *m);
void made_end(struct made_certificates *m);

/* Makes `cert` and `key`, anew: for "DNS:name" or "IP:address", from `first_s` to `last_s` seconds
 * after now. */
void made_issue(struct made_certificates *m, const char *names, long first_s, long last_s);

/* Another authority of the same name takes the place of the first one, in the same file. */
void made_renew(struct made_certificates *m);

#endif
