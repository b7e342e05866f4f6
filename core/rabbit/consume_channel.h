/*
 * consume_channel - one subscription: a channel that consumes a queue, and what it holds unacked
 *
 *          feed_up             queue READY               consume-ok
 *   DOWN ---------> DECLARING -------------> OPENING ----------------> CONSUMING
 *    ^                 ^                        |                       |     |
 *    | feed_down       |  time is over          |   channel.close       |     |
 *    | (anywhere)      '------------- RESTING <-'-----------------------'     |
 *    |                                   ^              basic.cancel          |
 *                                        '---- CLOSING <----------------------'
 *                                    close-ok
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
 *              half alive. From here it goes on to DECLARING without a rest where only
 *              the prefetch or the pace is another one, or waits there for a subscription
 *              or for its pace
 *   RESTING    waits with back-off, then declares and consumes again
 *
 * Each life of the channel is an epoch. Leaving CONSUMING ends it: what was not lent
 * to a turn is dropped unacked, what was is stale and never acked, and the broker
 * delivers all of it again. Draining cancels the consumer and keeps the channel, so
 * that what a turn has still goes out as an ack.
 */
#ifndef HERALD_RABBIT_CONSUME_CHANNEL_H
#define HERALD_RABBIT_CONSUME_CHANNEL_H

#include "rabbit/channels.h"
#include "rabbit/declare.h"
#include "rabbit/held.h"
#include "wire/link.h"

/* What all feeds of a consumer share; owned by the consumer. */
struct feed_context {
    struct link *link;         /* lent */
    struct channels *channels; /* of the link; lent */
    struct log *log;           /* lent */
    struct clock clock;        /* for rests */
    struct declare *declare;   /* of the same link; lent */
    int64_t backoff_min_ms;    /* rest after a channel died */
    int64_t backoff_max_ms;    /* ceiling of that rest */
    uint64_t epoch;            /* last one given to a channel */
    const char *broken;        /* set when the broker broke the protocol: reconnect */
    void (*stale)(void *arg);  /* some in the line became stale: sweep it */
    void *stale_arg;           /* lent to it */
    enum broker_pace pace;     /* of all feeds: the slower one counts */
    bool holding;              /* nothing is acked for now (consumer_hold) */
    size_t bytes_max;          /* of all deliveries that are held; one alone may be larger */
    size_t held_bytes; /* of all feeds, and of what is still lent of channels that are gone */
    size_t reserved;   /* by narrow feeds (consume_channel_room.c) */
    uint64_t tickets;  /* given so far to those that wait for room */
    uint64_t served;   /* whose turn it is; 0: nobody waits */
};

struct feed;

/* A feed without a subscription. `context` is lent for life. NULL when out of memory. */
struct feed *feed_new(struct feed_context *context);
void feed_free(struct feed **f); /* leaves what stands in the line as stale; NULL is fine */

/* The next plan has this subscription for it, lent until the plan after it is adopted:
 * asks for what it needs. With `dead`, the name of the subscription's dead-letter queue, it
 * consumes that one, where there is one (given_up.h). OK or ERR_NOMEM. */
int feed_plan(struct feed *f, const struct subscription *s, const char *dead);

/* The plan is in force: with its subscription, all that is held belongs to that one;
 * without one, what is settled is acked and the channel is closed. */
void feed_adopt(struct feed *f);

/* The plan is not to be. */
void feed_abandon(struct feed *f);

/* The queue it consumes, unless the plan has something for it already; else NULL. */
const char *feed_unplanned_queue(const struct feed *f);

/* The subscription whose dead-letter queue it consumes; NULL: it consumes the queue itself. */
const struct subscription *feed_of_dead(const struct feed *f);

/* It has no subscription, none is planned, and nothing of its channel is left. */
bool feed_is_free(const struct feed *f);

void feed_up(struct feed *f);
void feed_down(struct feed *f);

/* What the broker said on its channel. */
void feed_method(struct feed *f, const amqp_method_t *method);

/* A delivery that came; its identity (subscription, epoch, owner) is filled in here.
 * Returns the copy, which the caller puts into the line, or NULL when it is dropped
 * unacked. */
struct held *feed_deliver(struct feed *f, struct delivery *d);

/* Before a delivery of this size is taken from `f`: while all feeds would hold more than they may,
 * the one that holds most, which may be `f`, gives back what no turn has, once, and consumes with
 * a smaller prefetch for as long as large messages come. */
void feeds_make_room(struct feed *const *feeds, size_t n, struct feed *f, size_t size);

/* Between two turns: finds whose turn it is to have room, of those that wait for it. */
void feeds_serve(struct feed_context *c, struct feed *const *feeds, size_t n);

/* Its place among those that wait for room; 0: it does not wait. */
uint64_t feed_ticket(const struct feed *f);

/* Sends one ack that covers all that is settled without a gap. */
void feed_ack(struct feed *f);

/* And those that were endangered one by one where they stand behind a gap: none of them waits for
 * a handler of another. */
void feed_ack_rescued(struct feed *f);

/* Between two turns: its own pace, when it consumes this queue; for a NULL queue the context
 * has changed. Another pace needs another channel, since basic.qos is for consumers to come:
 * what is settled is acked, the rest goes back, and at PACE_STOP no channel is opened. */
void feed_pace(struct feed *f, const char *queue, enum broker_pace pace);

/* Cancels the consumer for good. */
void feed_drain(struct feed *f);

void feed_step(struct feed *f);
int64_t feed_due(const struct feed *f); /* monotonic; INT64_MAX: never */

/* True when it does what it should: one that ends or is held back has nothing to do, and what
 * the broker gave up on can wait. */
bool feed_is_ready(const struct feed *f);
size_t feed_unacked(const struct feed *f);

/* What it would consume is not there, and need not be: a dead-letter queue. */
bool feed_is_absent(const struct feed *f);

/* Asks for the delivery limit that its queue was declared with, once; while that is not answered,
 * it is undecided what comes too often. */
void feed_ask_limit(struct feed *f);
bool feed_is_undecided(const struct feed *f);

/* After how many returns a message is endangered: `wanted`, or less where the limit is. */
int64_t feed_rescue_after(const struct feed *f, int64_t wanted);

/* Logs, once, that its queue counts returns and has no dead-letter queue of herald's. */
void feed_warn_unguarded(struct feed *f);

/* Why it does not consume, or NULL. */
const char *feed_trouble(const struct feed *f);

/* The same, where it is not its declaration; an answer that takes long is one, too. */
const char *feed_own_trouble(const struct feed *f);

/* The broker closes the connection over a basic.consume: who waits for the answer to one is
 * left without. Before feed_down. */
void feed_blame(struct feed *f, const char *why);

/* The queue that it consumes; NULL: none. */
const char *feed_queue(const struct feed *f);

#endif
