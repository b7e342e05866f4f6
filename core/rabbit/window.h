/*
 * window - which published rows wait for the broker's word
 *
 * A channel in confirm mode numbers its publishes 1, 2, 3, ... (delivery
 * tags). The broker's acks and nacks may come out of order, cover many tags at
 * once, and cover tags that are settled already. A mandatory message that no
 * queue took comes back as a return *before* its ack, and the return carries
 * message id and routing key but no tag: their fingerprint is the slot's mark. (RabbitMQ manual:
 * "Consumer Acknowledgements and Publisher Confirms"; the order was also observed on 3.10.)
 *
 *                 window_returned           window_ack
 *      WAITING ---------------------> BACK ------------> RETURNED
 *         |
 *         |---- window_ack -----------------------------> CONFIRMED
 *         |---- window_nack ----------------------------> NACKED
 *         `---- window_expire --------------------------> TIMED_OUT
 *
 * The words on the right are outcomes: they are handed to the caller once, and
 * the slot is free again. Whatever is neither settled nor expired when the
 * channel goes away has an unknown outcome; window_drop gives those rows back.
 *
 * One window belongs to one channel and is used by its link's thread alone.
 */
#ifndef HERALD_RABBIT_WINDOW_H
#define HERALD_RABBIT_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum window_outcome {
    WINDOW_CONFIRMED, /* the broker has it: the row may go */
    WINDOW_RETURNED,  /* no queue took it: the row stays, with that reason */
    WINDOW_NACKED,    /* the broker could not: the row stays */
    WINDOW_TIMED_OUT, /* no word in time: the row stays, the channel is suspect */
    WINDOW_UNKNOWN,   /* the channel went away first: the row stays */
};

/* Called once per row that leaves the window, in order of delivery tag, with what window_add
 * was given for it. Must not call back into the window. */
typedef void window_settled_fn(void *arg, int64_t row, void *whose, enum window_outcome outcome);

struct window;

/* A window for at most `capacity` unconfirmed publishes (1 to 65536).
 * Returns NULL when out of memory. `settled` and `arg` are lent for life. */
struct window *window_new(size_t capacity, window_settled_fn *settled, void *arg);

/* Frees *w and clears it; NULL is fine. Rows still inside are forgotten, not
 * settled: call window_drop first where that matters. */
void window_free(struct window **w);

/* How many more publishes fit now. */
size_t window_room(const struct window *w);

/* How many publishes are neither settled nor dropped. */
size_t window_waiting(const struct window *w);

/* The next publish carries outbox row `row`, which is somebody's (`whose` is lent until it is
 * settled), a return of it would carry `mark`, and it must be confirmed before `deadline_ms`
 * (monotonic, never earlier than that of the publish before). Returns its delivery tag, or 0 when
 * full. */
uint64_t window_add(struct window *w, int64_t row, void *whose, uint64_t mark, int64_t deadline_ms);

/* The broker returned the oldest waiting message of this mark. Returns 0, or -1
 * when there is none (a return for nobody is a protocol error). */
int window_returned(struct window *w, uint64_t mark);

/* basic.ack and basic.nack. Tag 0 with `multiple` means all so far. Returns 0,
 * or -1 for a tag that was never given (a protocol error: reconnect). */
int window_ack(struct window *w, uint64_t tag, int multiple);
int window_nack(struct window *w, uint64_t tag, int multiple);

/* When the oldest publish is due; INT64_MAX when none waits. */
int64_t window_deadline(const struct window *w);

/* Gives all that wait until `deadline_ms`: for after the broker had stopped
 * reading (connection.blocked), when its silence said nothing. */
void window_postpone(struct window *w, int64_t deadline_ms);

/* Settles as TIMED_OUT what was due before `now_ms`; returns how many. */
size_t window_expire(struct window *w, int64_t now_ms);

/* The broker has answered a publish that came after all of those that timed out: it reads this
 * channel, and what is silent is a queue behind it. False when none timed out. */
bool window_is_read(const struct window *w);

/* How many have timed out on this channel. */
size_t window_timed_out(const struct window *w);

/* The channel is gone: settles all that is left as UNKNOWN and starts over at
 * tag 1. Returns how many. */
size_t window_drop(struct window *w);

#endif
