/*
 * tls_settings - what the setting `tls` of herald.lua says (docs/settings.md#tls)
 */
#ifndef HERALD_BASE_TLS_SETTINGS_H
#define HERALD_BASE_TLS_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

enum tls_version { TLS_1_2, TLS_1_3 };

/* Paths are looked up as credential.h says. */
struct tls_settings {
    const char *ca;          /* file or folder of authorities; NULL: those of the system */
    const char *cert;        /* ours, with its chain; NULL: none */
    const char *key;         /* of `cert`; NULL where that is */
    const char *server_name; /* what the broker's certificate must name; NULL: the URL's host */
    bool verify;             /* the broker's certificate is judged */
    int64_t min_version;     /* enum tls_version */
};

#endif
