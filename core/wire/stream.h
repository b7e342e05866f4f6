/*
 * stream - bytes in both directions, opened and closed without blocking
 *
 * The link sees only this, so TCP, TLS on top of it and the tests' fake broker
 * fit in without change. Events come from the loop, never from inside a
 * call to the stream.
 */
#ifndef HERALD_WIRE_STREAM_H
#define HERALD_WIRE_STREAM_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct stream;

struct stream_events {
    void (*opened)(void *arg);
    void (*data)(void *arg, const char *bytes, size_t len); /* lent until it returns */
    void (*drained)(void *arg);                             /* all writes reached the kernel */
    void (*failed)(void *arg, const struct err *why);       /* the stream is dead; close it */
    void (*closed)(void *arg);                              /* after close: it has freed itself */
};

struct stream_ops {
    /* Sends the bytes, which are copied. OK, ERR_NOMEM, ERR_CLOSED. */
    int (*write)(struct stream *s, const char *bytes, size_t len, struct err *err);
    /* Like write, but takes the buffer's memory over: `b` comes back empty, often with
     * the memory of an earlier one. May be NULL: then write is used. */
    int (*give)(struct stream *s, struct buf *b, struct err *err);
    /* Bytes not yet taken by the kernel. */
    size_t (*backlog)(const struct stream *s);
    /* Stops events but `closed`, which comes later from the loop and after which the
     * stream is freed. Safe in any state, once. */
    void (*close)(struct stream *s);
};

struct stream {
    const struct stream_ops *ops; /* of the kind of stream that it is */
};

/* Makes streams: see wire/tcp.h and wire/tls.h. */
struct stream_factory {
    /* Starts resolving and connecting; `opened` or `failed` comes from the loop. NULL
     * when out of memory. host and events are lent until the call returns and for the
     * stream's life. */
    struct stream *(*open)(void *arg, uv_loop_t *loop, const char *host, uint16_t port,
                           const struct stream_events *events, void *events_arg, struct err *err);
    void *arg;        /* of open */
    bool certificate; /* its streams tell the peer by a certificate who we are */
};

#endif
