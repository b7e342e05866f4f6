/*
 * tls_int - what the files of TLS share: tls.c (streams), tls_context.c (files), tls_words.c
 * (errors in words). Nobody else sees OpenSSL.
 */
#ifndef HERALD_WIRE_TLS_INT_H
#define HERALD_WIRE_TLS_INT_H

#include "wire/tls.h"

#include <openssl/ssl.h>

/* What is known of a peer when something goes wrong with it; OpenSSL's callbacks fill it in. */
struct tls_peer {
    const struct tls_settings *settings; /* lent */
    char name[300];                      /* "host:port", for people */
    char wanted[256];                    /* what its certificate must name */
    int refusal;                         /* X509_V_ERR_, or X509_V_OK */
    int depth;                           /* of the certificate refused: 0 is the peer's own */
    char subject[128];                   /* whose it is */
    char date[32];                       /* the one that is exceeded */
    char names[256];                     /* which it has, where `wanted` is none of them */
    bool asked;                          /* it asked for a certificate of ours, and got none */
    bool spoke;                          /* it sent something that was no handshake */
    char first[4];                       /* its first bytes */
    size_t n_first;                      /* how many */
};

/* tls_context.c: what streams are made of, from the files as they are. NULL, with ERR_CONFIG or
 * ERR_NOMEM. Its SSLs have a struct tls_peer as application data. */
SSL_CTX *tls_context_new(const struct tls_settings *settings, struct err *err);

/* tls_context.c: what is wrong or doubtful with the dates of our certificate, if there is one. */
void tls_judge_own(const SSL_CTX *context, tls_finding_fn *finding, void *arg);

/* tls_context.c: when it ends, ms since 1970 UTC; 0: there is none, or it does not say. */
int64_t tls_ends_ms(const X509 *cert);

/* tls_context.c: differs once a file has changed. */
uint64_t tls_stamp(const struct tls_settings *settings);

/* tls_words.c: a verify callback, a callback for a certificate of ours. */
int tls_note_refusal(int ok, X509_STORE_CTX *store);
int tls_note_asked(SSL *ssl, X509 **cert, EVP_PKEY **key);

/* tls_words.c: why a call of OpenSSL has failed; empties its queue of errors. */
void tls_explain(const struct tls_peer *peer, struct err *err);

/* tls_words.c: the same for files: the reason of the last error. Empties the queue. */
const char *tls_last_reason(char out[static 200]);

/* tls_words.c: better words for a stream below that ended before the peer said anything. */
void tls_explain_end(const struct tls_peer *peer, bool open, struct err *err);

/* tls_words.c: "2026-01-31 12:00 UTC". */
void tls_date(const ASN1_TIME *time, char out[static 32]);

#endif
