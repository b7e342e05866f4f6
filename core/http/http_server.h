/*
 * http_server - answers HTTP from the router's loop
 *
 * libmicrohttpd without a thread of its own: it has its sockets in an epoll descriptor, which the
 * loop watches (its manual, "MHD_get_daemon_info"). A client that is slow, large or one too many
 * costs a place among a few, never the loop: headers and bodies are bounded, what stands still or
 * takes too long is hung up on, and all of it has a tenth of the loop's time at most.
 *
 *   (headers) --begin--> body --complete--> WORKING --http_request_answer--> sent
 *                `------ http_request_answer, before the body is read ------> sent, hung up on
 */
#ifndef HERALD_HTTP_HTTP_SERVER_H
#define HERALD_HTTP_HTTP_SERVER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"

#include <uv.h>

struct http_server;

/* A header of an answer. */
struct http_field {
    const char *name, *value;
};

struct http_answer {
    unsigned status;                 /* 200 unless it is set */
    const char *type;                /* lent; "text/plain; charset=utf-8" unless it is set */
    const struct http_field *fields; /* more of them; lent, ends with one without name; or NULL */
    struct buf body;                 /* what a client gets; `failed`: it gets 500 */
};

void http_answer_init(struct http_answer *a);

/* Lent until it is answered. */
struct http_request {
    const char *method;
    const char *path;  /* as it came, escapes and all */
    const char *query; /* the same, behind the "?"; "": none */
    struct slice body; /* once it is complete */
    size_t body_max;   /* what `begin` allows; none unless it says so */
};

/* NULL: it has none of this name. */
const char *http_request_header(const struct http_request *r, const char *name);

/* Once for each request, from the loop; the body of the answer is taken over. */
void http_request_answer(struct http_request *r, struct http_answer *a);

/* The same in a line of words. */
void http_request_refuse(struct http_request *r, unsigned status, const char *words);

typedef void http_request_fn(void *arg, struct http_request *r);

struct http_settings {
    uv_loop_t *loop;
    const char *address;             /* http_address.h; as all here lent for life */
    const struct http_field *fields; /* of every answer; as those of one, or NULL */
    http_request_fn *begin;          /* its headers are there: answers, or lets it go on */
    http_request_fn *complete;       /* all of it is: answers, now or later */
    void *arg;
};

/* ERR_CONFIG: the address is none, or cannot be had, in words. */
int http_server_start(struct http_server **out, const struct http_settings *settings,
                      struct err *err);

/* The port that it has; 0: none. */
unsigned http_server_port(const struct http_server *s);

/* Hangs up on all, with 503 for those that wait for an answer. The memory goes once the loop has
 * closed its handles. NULL is fine. */
void http_server_stop(struct http_server **out);

#endif
