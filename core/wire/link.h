/*
 * link - one AMQP 0-9-1 connection with its state machine
 *
 * rabbitmq-c is the codec; the bytes go through a stream of our own, so nothing
 * here ever blocks (docs/field-notes.md#calls-that-block).
 *
 *            link_open                  stream connected
 *   IDLE ------------> RESOLVE/CONNECT -----------------> HANDSHAKE
 *                        ^                                    | connection.open-ok
 *              timer     |                                    v
 *   WAIT ----------------'                                   RUN ---- link_close ---> CLOSING
 *     ^                                                       |                          |
 *     |      any error, missed heartbeats, connection.close   |        close-ok or 2 s   v
 *     '-------------------------------------------------------'                        CLOSED
 *
 * In RUN the owner opens channels by number, sends methods on them and gets what
 * the broker says as events. A link reconnects for ever, with exponential back-off
 * and jitter, over the hosts of its URL (host_order.h). What a channel means is the owner's
 * business (publisher, consumer, topology).
 *
 * One link belongs to one loop and its thread.
 */
#ifndef HERALD_WIRE_LINK_H
#define HERALD_WIRE_LINK_H

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/message.h"
#include "wire/codec.h"
#include "wire/stream.h"
#include "wire/url.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct link;

/* All come from the loop, never from inside a call to the link, and none but
 * `closed` after link_close. An event may call the link, link_close included. */
struct link_events {
    void (*up)(void *arg);                          /* RUN is reached: open channels now */
    void (*down)(void *arg, const struct err *why); /* RUN is left: every channel is gone, and it
                                                     * is no longer blocked; logged already */
    void (*method)(void *arg, uint16_t channel, const amqp_method_t *method);
    void (*content)(void *arg, const struct codec_content *content);
    void (*blocked)(void *arg, const char *reason); /* connection.blocked; NULL: unblocked */
    void (*read_done)(void *arg);                   /* all bytes of one read are handled */
    void (*closed)(void *arg); /* after link_close: nothing is left on the loop */
};

struct link_settings {
    uv_loop_t *loop;            /* lent */
    struct log *log;            /* lent; may be NULL */
    struct clock clock;         /* copied */
    const struct url *url;      /* lent for life */
    const char *password_file;  /* read at each login, instead of the URL's; NULL: none; lent */
    bool shuffled;              /* its hosts are tried in an order of this link's own */
    const char *name;           /* connection_name shown by the broker; copied */
    int heartbeat_s;            /* asked for where the URL says nothing; the smaller of both
                                 * sides' counts */
    int64_t connect_timeout_ms; /* resolve and connect, and again the handshake */
    int64_t backoff_min_ms;     /* first wait after a failure */
    int64_t backoff_max_ms;     /* the longest */
    size_t body_max;            /* what announces a larger body ends the connection */
    const struct stream_factory *streams; /* how to make a stream, with TLS for amqps; lent */
};

/* Returns NULL when out of memory. `events` and `arg` are lent for life. */
struct link *link_new(const struct link_settings *settings, const struct link_events *events,
                      void *arg);

/* Starts connecting. */
void link_open(struct link *l);

/* Closes in an orderly way; events.closed comes once, then link_free may. */
void link_close(struct link *l);

/* Frees *l and clears it; only before link_open or after events.closed. NULL is fine. */
void link_free(struct link **l);

bool link_is_up(const struct link *l);
bool link_is_blocked(const struct link *l);
const char *link_state_word(const struct link *l); /* "connecting", "up", "waiting", ... */
const char *link_error(const struct link *l);      /* why it is not up; "" when up */
uint32_t link_frame_max(const struct link *l);     /* negotiated, valid in RUN */
uint16_t link_channel_max(const struct link *l);   /* likewise: channels are 1 to this */
const char *link_server(const struct link *l);     /* "RabbitMQ 3.10.8", as the broker says; lent */

/* The method over which the broker has closed the connection, valid in events.down; 0: none,
 * or it did not say. */
amqp_method_number_t link_fault(const struct link *l);

/* Encodes a method into the output buffer (flushed by link_flush or at the end
 * of the read that is being handled). OK, ERR_CLOSED when not up, ERR_LIMIT when
 * the output buffer is full, ERR_INPUT when it cannot be encoded. */
int link_send(struct link *l, uint16_t channel, amqp_method_number_t id, void *method,
              struct err *err);

/* Encodes basic.publish with header and body frames: persistent, mandatory, with
 * the properties of docs/design.md#the-outbox. Codes as link_send; ERR_INPUT says what is wrong
 * with the message (a short string over 255 bytes, headers that are no JSON object). */
int link_publish(struct link *l, uint16_t channel, const char *exchange, const char *routing_key,
                 const struct message *m, struct err *err);

/* Adds whole frames that were encoded before (codec.h, link_frame_max). Codes as link_send. */
int link_write(struct link *l, const void *frames, size_t len, struct err *err);

/* The broker broke the protocol on a channel: drops the connection and connects again
 * after a back-off, as for any other error. It is down at once, events.down comes later
 * from the loop; may be called from inside an event. Does nothing when not up. */
void link_restart(struct link *l, const char *why);

/* Hands what is encoded to the stream in one write. */
void link_flush(struct link *l);

/* Bytes encoded or handed over that the kernel has not taken yet. */
size_t link_backlog(const struct link *l);

#endif
