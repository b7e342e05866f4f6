/*
 * consumer - the consuming half of the rabbit driver: deliveries in, acks out
 *
 * Deliveries of all subscriptions wait in the order in which they came (unacked.h has the
 * states of one). A turn lends from the front; what it accepts is acked by tell, with one
 * ack(multiple) per channel at the highest tag below which nothing is missing; what it took
 * and did not accept stays in front and is lent again. How many can wait is the sum of the
 * prefetches.
 *
 * What came back so often that a delivery limit may end it at the next crash waits apart, and is
 * lent by consumer_take_endangered alone.
 *
 * A channel whose subscription is gone serves the next new one, under the same number,
 * once its channel is closed on both sides: so a late frame never meets another queue.
 */
#ifndef HERALD_RABBIT_CONSUMER_H
#define HERALD_RABBIT_CONSUMER_H

#include "broker/broker.h"
#include "rabbit/declare.h"
#include "wire/link.h"

struct consumer;

struct consumer_settings {
    struct link *link;         /* lent for life */
    struct channels *channels; /* of the link; lent for life */
    struct log *log;           /* lent for life */
    struct clock clock;        /* for waits */
    struct declare *declare;   /* of the same link; lent for life */
    int64_t backoff_min_ms;    /* wait after a channel died */
    int64_t backoff_max_ms;    /* ceiling of that wait */
    size_t bytes_max;          /* of unacked deliveries, but for one that is larger; 0: no limit */
    int64_t rescue_after;      /* what came back so often is endangered */
};

/* NULL when out of memory. */
struct consumer *consumer_new(const struct consumer_settings *settings);
void consumer_free(struct consumer **c); /* NULL is fine */

/* Between two turns: the next plan has these subscriptions, lent until the plan after it
 * is adopted. Asks for what they need; nothing else happens before consumer_adopt. OK or
 * ERR_NOMEM (then consumer_abandon). */
int consumer_plan(struct consumer *c, const struct subscription *s, size_t n, struct err *err);

/* The plan takes the place of the former: a queue that stays goes on with all that is
 * unacked of it, the others are left. Or it is not to be, and all is as it was. */
void consumer_adopt(struct consumer *c);
void consumer_abandon(struct consumer *c);

/* As broker_ops. */
size_t consumer_take(struct consumer *c, struct delivery **out, size_t max);
size_t consumer_take_endangered(struct consumer *c, struct delivery **out, size_t max);
void consumer_accept(struct consumer *c, struct delivery *d);
void consumer_tell(struct consumer *c);
void consumer_forget(struct consumer *c);

/* While true, what is accepted is not acked, and no other pace is taken up: the broker may have
 * said something that is not read yet, such as that the consumer is cancelled, and an ack after
 * that would revive it. */
void consumer_let_acks_wait(struct consumer *c, bool wait);
void consumer_pace(struct consumer *c, const char *queue, enum broker_pace pace);
void consumer_drain(struct consumer *c);

/* True when one of the takes would give something. */
bool consumer_pending(const struct consumer *c);

/* Unacked deliveries, and the bytes of them all, stale ones that are lent among them. */
size_t consumer_unacked(const struct consumer *c);
size_t consumer_bytes(const struct consumer *c);

/* Events of the link. Before consumer_down, `blame` where the broker has closed the connection
 * over a basic.consume. */
void consumer_blame(struct consumer *c, const char *why);
void consumer_up(struct consumer *c);
void consumer_down(struct consumer *c);
void consumer_method(struct consumer *c, uint16_t channel, const amqp_method_t *method);
void consumer_content(struct consumer *c, const struct codec_content *content);

/* Moves on what time or a declaration moves. */
void consumer_step(struct consumer *c);
int64_t consumer_due(const struct consumer *c); /* monotonic; INT64_MAX: never */

/* True when every subscription consumes that is to flow. */
bool consumer_is_ready(const struct consumer *c);

/* How the broker broke the protocol since the last call, or NULL: reconnect. */
const char *consumer_broken(struct consumer *c);

/* Why a subscription does not consume, or NULL. */
const char *consumer_trouble(const struct consumer *c);

/* As declare_trouble_at, of queues whose declaration is well. */
bool consumer_trouble_at(const struct consumer *c, size_t *n, struct broker_trouble *out);

#endif
