/*
 * http_server - answers GET and HEAD from the router's loop
 *
 * libmicrohttpd without a thread of its own: it has its sockets in an epoll descriptor, which the
 * loop watches (its manual, "MHD_get_daemon_info"). A client that is slow, large or one too many
 * costs a place among a few, never the loop: requests have no body, headers are bounded, and what
 * stands still is hung up on.
 */
#ifndef HERALD_HTTP_HTTP_SERVER_H
#define HERALD_HTTP_HTTP_SERVER_H

#include "base/buf.h"
#include "base/err.h"

#include <uv.h>

struct http_server;

struct http_answer {
    unsigned status;  /* 200 unless it is set */
    const char *type; /* lent; "text/plain; charset=utf-8" unless it is set */
    struct buf body;  /* what a client gets; `failed`: it gets 500 */
};

/* From the loop. `path` has no query. False: there is nothing of that name. */
typedef bool http_answer_fn(void *arg, const char *path, struct http_answer *answer);

/* `address` is HOST:PORT with a number for the host, "127.0.0.1:9121", "[::1]:9121"; port 0: any
 * that is free. ERR_CONFIG: it is no address, or cannot be had, in words. */
int http_server_start(struct http_server **out, uv_loop_t *loop, const char *address,
                      http_answer_fn *fn, void *arg, struct err *err);

/* Whether a text is such an address, without listening. */
int http_server_check(const char *address, struct err *err);

/* The port that it has. */
unsigned http_server_port(const struct http_server *s);

/* Hangs up on all. The memory goes once the loop has closed its handles. NULL is fine. */
void http_server_stop(struct http_server **s);

#endif
