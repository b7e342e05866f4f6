/*
 * link_int - what the files of a link share: link.c (states), link_handshake.c (connection
 * class up to open-ok), link_dispatch.c (frames to events)
 */
#ifndef HERALD_WIRE_LINK_INT_H
#define HERALD_WIRE_LINK_INT_H

#include "base/backoff.h"
#include "wire/assemble.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/heartbeat.h"
#include "wire/host_order.h"
#include "wire/link.h"

enum {
    LINK_OUT_MAX = 64 << 20,     /* encoded and not yet handed over, at most */
    LINK_BACKLOG_MAX = 32 << 20, /* with more than this under way nothing more is encoded */
    LINK_OUT_KEPT = 1 << 20,     /* memory that the output buffer may keep */
    LINK_STEADY_MS = 10000,      /* RUN that lasted so long forgives the failures before */
    LINK_CLOSE_MS = 2000,        /* patience with close-ok */
    LINK_POOL_PAGE = 4096,       /* decoded methods are small; more is taken as needed */
};

/* BROKEN is WAIT's forecourt: the stream is dropped, `down` is still to be told. */
enum link_state {
    LINK_IDLE,
    LINK_CONNECT,
    LINK_HANDSHAKE,
    LINK_RUN,
    LINK_BROKEN,
    LINK_WAIT,
    LINK_CLOSING,
    LINK_CLOSED,
};

/* What the handshake waits for; says where it was when the peer hung up. */
enum link_step { STEP_START, STEP_TUNE, STEP_OPEN_OK };

struct link {
    struct link_settings settings;    /* copied */
    const struct link_events *events; /* lent */
    void *arg;                        /* of events */
    char *name;                       /* owned; settings.name points to it */
    enum link_state state;            /* see link.c for what is true in each */
    enum link_step step;              /* in LINK_HANDSHAKE */
    struct stream *stream;            /* in CONNECT, HANDSHAKE, RUN and CLOSING, else NULL */
    unsigned streams;                 /* streams that are not closed yet */
    uint64_t life;                    /* counts the streams that were dropped */
    uv_timer_t timer;                 /* what it is for depends on the state: see on_timer */
    bool timer_closed;                /* its handle is gone (in CLOSED) */
    bool ending;                      /* link_close was called */
    bool by_certificate;              /* the login is that of our certificate (EXTERNAL) */
    bool blocked;                     /* in RUN: connection.blocked was heard */
    struct host_order hosts;          /* the one in turn is tried or used */
    unsigned failures;                /* in a row; decides the wait */
    struct backoff backoff;
    int64_t run_since_ms;       /* when RUN was reached */
    uint16_t channel_max;       /* agreed */
    uint32_t frame_max;         /* agreed */
    amqp_method_number_t fault; /* what the broker closed the connection over; 0 */
    struct heartbeat heartbeat; /* agreed in the handshake */
    struct frame_reader reader; /* bytes in */
    struct assemble assemble;   /* contents in */
    amqp_pool_t pool;           /* decoded things; emptied after each frame */
    struct buf out;             /* frames to be handed to the stream */
    char server[64];            /* "RabbitMQ 3.10.8", for the log */
    struct err why;             /* why it is not up */
    uint64_t logged;            /* fingerprint of the failure that was logged last */
};

/* "host:port" of the host in turn, for people. */
const char *link_peer(const struct link *l, char out[static 300]);

/* link.c: the handshake is through. */
void link_run(struct link *l);

/* link.c: RUN is over, found out inside a call of the owner: `down` comes later from
 * the loop. Nothing happens in another state. */
void link_break(struct link *l, const struct err *why);

/* link_handshake.c: whether the first bytes of the peer are those of TLS, which nobody has asked it
 * for; with words. */
bool handshake_hears_tls(const struct link *l, const char *bytes, size_t len, struct err *err);

/* link_handshake.c: the first bytes; a method of the connection class; and better words for
 * a stream that failed meanwhile. */
int handshake_begin(struct link *l, struct err *err);
int handshake_method(struct link *l, const amqp_method_t *m, struct err *err);
void handshake_explain(const struct link *l, struct err *why);

/* link_handshake.c: answers connection.close; always returns an error with its words. */
int handshake_closed(struct link *l, const amqp_connection_close_t *close, struct err *err);

/* link_dispatch.c: a frame_fn. ERR_CLOSED when the frame's connection was dropped meanwhile. */
int dispatch_frame(void *arg, const struct frame *f, struct err *err);

#endif
