/*
 * admin_settings - what herald.lua says of the admin door (docs/admin.md)
 */
#ifndef HERALD_BASE_ADMIN_SETTINGS_H
#define HERALD_BASE_ADMIN_SETTINGS_H

#include <stdint.h>

struct admin_settings {
    const char *listen;          /* an address (http/http_address.h); NULL: there is no door */
    const char *token_file;      /* of who may do everything; NULL: none */
    const char *read_token_file; /* of who may look; NULL: none */
    const char *hosts;           /* names that Host may have, parted by spaces; NULL: none */
    int64_t rate;                /* requests a second */
};

#endif
