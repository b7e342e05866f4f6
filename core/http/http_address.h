/*
 * http_address - where a door listens: HOST:PORT with a number for the host, or unix:PATH
 */
#ifndef HERALD_HTTP_HTTP_ADDRESS_H
#define HERALD_HTTP_HTTP_ADDRESS_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

struct http_address {
    struct sockaddr_storage at;
    socklen_t len;
};

/* "127.0.0.1:9121", "[::1]:9121", port 0: any that is free; "unix:herald-admin.sock". ERR_CONFIG:
 * it is none, in words. */
int http_address_read(const char *text, struct http_address *out, struct err *err);

bool http_address_is_unix(const struct http_address *a);

/* Only this machine reaches it. */
bool http_address_is_near(const struct http_address *a);

/* A socket that listens there. A Unix socket is for its owner alone, and one that nobody listens at
 * gives way. ERR_CONFIG: it cannot be had, in words with `text`. */
int http_address_listen(const struct http_address *a, const char *text, int *fd_out,
                        struct err *err);

/* The port of a socket; 0: it has none. */
unsigned http_address_port(int fd);

#endif
