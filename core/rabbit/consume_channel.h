/*
 * consume_channel - one subscription: a channel that consumes a queue, and what it has unacked
 *
 *        consume_channel_up            queue READY               consume-ok
 *   DOWN -----------------> DECLARING -------------> OPENING ----------------> CONSUMING
 *    ^                          ^                        |                       |     |
 *    | consume_channel_down     |  time is over          |   channel.close       |     |
 *    | (anywhere)               '------------- BACKOFF <-'-----------------------'     |
 *    |                                            ^              basic.cancel          |
 *                                                 '---- CLOSING <----------------------'
 *                                             close-ok
 *
 *   DOWN       no link
 *   DECLARING  waits for the queue (declare.h) and for a channel (channels.h); stays here
 *              while it is refused, or unanswered
 *   OPENING    channel.open, basic.qos and basic.consume are sent. A broker that does not
 *              answer in time leaves the queue unanswered (declare.h), and the channel to
 *              itself
 *   CONSUMING  deliveries come and acks go
 *   CLOSING    the consumer is gone (basic.cancel, or a declaration says so), or the
 *              rules have changed; we close the channel, so that nothing of it is left
 *              half alive. From here it goes on to DECLARING without a wait where only
 *              the prefetch or the pace is another one, or waits there for a subscription
 *              or for its pace
 *   BACKOFF    waits with back-off, then declares and consumes again
 *
 * Each life of the channel is an incarnation. Leaving CONSUMING ends it: what was not lent
 * to a turn is dropped unacked, what was is stale and never acked, and the broker
 * delivers all of it again. Draining cancels the consumer and keeps the channel, so
 * that what a turn has still goes out as an ack.
 */
#ifndef HERALD_RABBIT_CONSUME_CHANNEL_H
#define HERALD_RABBIT_CONSUME_CHANNEL_H

#include "rabbit/channels.h"
#include "rabbit/declare.h"
#include "rabbit/unacked.h"
#include "wire/link.h"

/* What all channels of a consumer share; owned by the consumer. */
struct consume_channel_context {
    struct link *link;         /* lent */
    struct channels *channels; /* of the link; lent */
    struct log *log;           /* lent */
    struct clock clock;        /* for waits */
    struct declare *declare;   /* of the same link; lent */
    int64_t backoff_min_ms;    /* wait after a channel died */
    int64_t backoff_max_ms;    /* ceiling of that wait */
    uint64_t incarnation;      /* last one given to a channel */
    const char *broken;        /* set when the broker broke the protocol: reconnect */
    void (*stale)(void *arg);  /* some became stale: sweep those that wait */
    void *stale_arg;           /* lent to it */
    enum broker_pace pace;     /* of all channels: the slower one counts */
    bool acks_wait;            /* nothing is acked for now (consumer_let_acks_wait) */
    size_t bytes_max;          /* of all unacked deliveries; one alone may be larger */
    size_t unacked_bytes; /* of all channels, and of what is still lent of channels that are gone */
    size_t reserved;      /* by narrow channels (consume_channel_room.c) */
    uint64_t tickets;     /* given so far to those that wait for room */
    uint64_t served;      /* whose turn it is; 0: nobody waits */
};

struct consume_channel;

/* One without a subscription. `context` is lent for life. NULL when out of memory. */
struct consume_channel *consume_channel_new(struct consume_channel_context *context);
void consume_channel_free(
    struct consume_channel **f); /* what is lent of it stays, as stale; NULL is fine */

/* The next plan has this subscription for it, lent until the plan after it is adopted:
 * asks for what it needs. With `dead`, the name of the subscription's dead-letter queue, it
 * consumes that one, where there is one (dead_letter_queue.h). OK or ERR_NOMEM. */
int consume_channel_plan(struct consume_channel *f, const struct subscription *s, const char *dead);

/* The plan is in force: with its subscription, all that is unacked belongs to that one;
 * without one, what is accepted is acked and the channel is closed. */
void consume_channel_adopt(struct consume_channel *f);

/* The plan is not to be. */
void consume_channel_abandon(struct consume_channel *f);

/* The queue it consumes, unless the plan has something for it already; else NULL. */
const char *consume_channel_unplanned_queue(const struct consume_channel *f);

/* The subscription whose dead-letter queue it consumes; NULL: it consumes the queue itself. */
const struct subscription *consume_channel_of_dead(const struct consume_channel *f);

/* It has no subscription, none is planned, and nothing of its channel is left. */
bool consume_channel_is_free(const struct consume_channel *f);

void consume_channel_up(struct consume_channel *f);
void consume_channel_down(struct consume_channel *f);

/* What the broker said on its channel. */
void consume_channel_method(struct consume_channel *f, const amqp_method_t *method);

/* A delivery that came; subscription, incarnation and owner are filled in here. Returns the
 * copy, which the caller puts where it waits, or NULL when it is dropped unacked. */
struct unacked *consume_channel_deliver(struct consume_channel *f, struct delivery *d);

/* Before a delivery of this size is taken from `f`: while all channels would have more than they
 * may, the one that has most, which may be `f`, gives back what no turn has, once, and consumes
 * with a smaller prefetch for as long as large messages come. */
void consume_channels_make_room(struct consume_channel *const *all, size_t n,
                                struct consume_channel *f, size_t size);

/* Between two turns: finds whose turn it is to have room, of those that wait for it. */
void consume_channels_serve(struct consume_channel_context *c, struct consume_channel *const *all,
                            size_t n);

/* Its place among those that wait for room; 0: it does not wait. */
uint64_t consume_channel_ticket(const struct consume_channel *f);

/* Sends one ack that covers all that is accepted, up to the first gap. */
void consume_channel_ack(struct consume_channel *f);

/* The same for endangered ones behind a gap, with an ack for each: what is rescued waits for no
 * other message's handler. */
void consume_channel_ack_rescued(struct consume_channel *f);

/* Between two turns: its own pace, when it consumes this queue; for a NULL queue the context
 * has changed. Another pace needs another channel, since basic.qos is for consumers to come:
 * what is accepted is acked, the rest goes back, and at PACE_STOP no channel is opened. */
void consume_channel_pace(struct consume_channel *f, const char *queue, enum broker_pace pace);

/* Cancels the consumer for good. */
void consume_channel_drain(struct consume_channel *f);

void consume_channel_step(struct consume_channel *f);
int64_t consume_channel_due(const struct consume_channel *f); /* monotonic; INT64_MAX: never */

/* True when it does what it should. One that ends, stands by or is kept back has nothing to do,
 * and a dead-letter queue can wait. */
bool consume_channel_is_ready(const struct consume_channel *f);
size_t consume_channel_unacked(const struct consume_channel *f);

/* It waits for another consumer to go; consume_channel_own_trouble says so, and it is ready. */
bool consume_channel_stands_by(const struct consume_channel *f);

/* What it would consume is not there, and need not be: a dead-letter queue. */
bool consume_channel_is_absent(const struct consume_channel *f);

/* Asks for the delivery limit that its queue was declared with, once; while that is not answered,
 * it is undecided what comes too often. */
void consume_channel_ask_limit(struct consume_channel *f);
bool consume_channel_is_undecided(const struct consume_channel *f);

/* After how many returns a message is endangered: `wanted`, or fewer where the queue's delivery
 * limit is low. */
int64_t consume_channel_rescue_after(const struct consume_channel *f, int64_t wanted);

/* Logs, once, that its queue counts returns and has no dead-letter queue of herald's. */
void consume_channel_warn_unguarded(struct consume_channel *f);

/* Why it does not consume, or NULL: it does, or stands by. */
const char *consume_channel_trouble(const struct consume_channel *f);

/* The same, where it is not its declaration; an answer that takes long is one, too. */
const char *consume_channel_own_trouble(const struct consume_channel *f);

/* The broker has closed the connection over a basic.consume: if this channel waits for the answer
 * to one, its queue counts as unanswered. Before consume_channel_down. */
void consume_channel_blame(struct consume_channel *f, const char *why);

/* The queue that it consumes; NULL: none. */
const char *consume_channel_queue(const struct consume_channel *f);

#endif
