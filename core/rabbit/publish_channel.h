/*
 * publish_channel - one exchange to publish to: a channel in confirm mode and its window
 *
 * A channel per exchange, because the broker answers a publish that it cannot
 * take by closing the channel, and with it goes every confirm that was still to
 * come (docs/field-notes.md#a-refused-publish).
 *
 *        publish_channel_up          exchange READY            confirm.select-ok
 *   DOWN -----------------> DECLARING -------------> OPENING --------------------> OPEN
 *    ^                       ^    ^                     |                         |    |
 *    | publish_channel_down  |    |  time is over       |  channel.close          |    |
 *    | (from anywhere)       |    '------- BACKOFF <----'-------------------------'    |
 *    |                       |                               a confirm is overdue      |
 *                            '-------------- CLOSING <---------------------------------'
 *                               close-ok
 *
 *   DOWN       no link: nothing is in flight
 *   DECLARING  waits for the exchange (declare.h), stays here while it is refused or unanswered;
 *              and for a channel, where the broker allows only some (channels.h): the first
 *              ones are opened before there is anything to publish, after that those that
 *              are asked for
 *   OPENING    channel.open and confirm.select are sent
 *   OPEN       takes publishes; the only state with rows in flight
 *   CLOSING    we closed it, since a confirm did not come and none came for what was sent after
 *              it; waits for close-ok
 *   BACKOFF    the broker closed it; waits with back-off, then declares again
 *
 * Leaving OPEN settles every row: those that timed out as TIMED_OUT, the one to blame as
 * below, the others as UNKNOWN with the reason.
 *
 * Blame. A channel.close names the method that provoked it, but not which of the rows in
 * flight. Only a publish without an answer can have provoked it, so where it names
 * basic.publish and a single row is in flight, that row is to blame, and no other. One that
 * names no publish (an operator, a broker in trouble) blames nobody. What is wrong says who
 * else is concerned:
 *
 *   404, 403             the exchange, as it is now: any row would do. The row to blame is
 *                        NACKED, and until the broker takes one again the exchange is refused,
 *                        which is one more attempt for each row that asks
 *   406, 311, 403 of a   the row itself: it will never be taken as it is, and is REFUSED
 *   topic (permissions)
 *   others               nobody knows: the row to blame is NACKED
 *
 * Careful mode. A close with several rows in flight blames none of them: they are UNKNOWN,
 * and go out one by one, as many as were lost, until the one to blame is found. When it is
 * the exchange, one row goes ahead to try it, time and again, and then all.
 */
#ifndef HERALD_RABBIT_PUBLISH_CHANNEL_H
#define HERALD_RABBIT_PUBLISH_CHANNEL_H

#include "rabbit/channels.h"
#include "rabbit/declare.h"
#include "rabbit/quota.h"
#include "rabbit/settlements.h"
#include "wire/link.h"

/* What all outlets of a publisher share; owned by the publisher. */
struct publish_channel_context {
    struct link *link;               /* lent */
    struct channels *channels;       /* of the link; lent */
    struct log *log;                 /* lent */
    struct clock clock;              /* for deadlines */
    struct declare *declare;         /* of the same link; lent */
    struct settlements *settlements; /* where outcomes go; lent */
    struct quotas *quotas;           /* how much each destination may have; lent */
    size_t in_flight;                /* rows in all windows */
    uint64_t outlets;                /* made so far: no two spread their waits alike */
    size_t window;                   /* capacity of each window */
    int64_t confirm_timeout_ms;      /* a confirm is due after this */
    int64_t backoff_min_ms;          /* wait after the broker closed a channel */
    int64_t backoff_max_ms;          /* ceiling of that wait */
    bool blocked;                    /* connection.blocked: silence proves nothing */
    const char *broken;              /* set when the broker broke the protocol: reconnect */
    void (*gone)(void *arg, const char *exchange); /* bindings to it may be gone */
    void *gone_arg;                                /* lent to it */
};

struct publish_channel;

/* `context` is lent for life. NULL when out of memory. */
struct publish_channel *publish_channel_new(struct publish_channel_context *context,
                                            const struct destination *to, bool planned);
void publish_channel_free(struct publish_channel **o); /* NULL is fine */

const char *publish_channel_exchange(const struct publish_channel *o);
uint16_t publish_channel_channel(const struct publish_channel *o);

/* No rule names its exchange any more: that is not declared, and its channel is not opened before
 * declare_exchange asks for it again. */
bool publish_channel_is_dropped(const struct publish_channel *o);

/* OK when it takes one more publish now; ERR_BUSY when it soon will; ERR_BROKER with
 * the reason when the exchange is refused; ERR_CLOSED with the reason when it waits for
 * something that is not the exchange's fault. */
int publish_channel_usable(const struct publish_channel *o, struct err *err);

/* Something is to be published to it now (monotonic): it opens as soon as it can. False: it is
 * open. */
bool publish_channel_ask(struct publish_channel *o, int64_t now);

/* It was asked for and there is no channel for it. */
bool publish_channel_is_short(const struct publish_channel *o);

/* Nothing is under way on it; when it was last asked for (monotonic). */
bool publish_channel_is_idle(const struct publish_channel *o);
int64_t publish_channel_asked_ms(const struct publish_channel *o);

/* It gives its channel away: now where it is idle, else as soon as it is. */
void publish_channel_give_way(struct publish_channel *o);
bool publish_channel_gives_way(const struct publish_channel *o);
bool publish_channel_is_open(const struct publish_channel *o);

/* Reserves a place in its window for a publish that is not sent yet; a release ends it. */
void publish_channel_reserve(struct publish_channel *o);
void publish_channel_release(struct publish_channel *o);

/* A publish of `row` was handed to the link now (monotonic): its window takes it. Only when
 * usable. */
void publish_channel_sent(struct publish_channel *o, int64_t row, struct quota *quota,
                          uint64_t mark, int64_t now);

void publish_channel_up(struct publish_channel *o);
void publish_channel_down(struct publish_channel *o, const char *why);

/* What the broker said on its channel. */
void publish_channel_method(struct publish_channel *o, const amqp_method_t *method);
void publish_channel_returned(struct publish_channel *o, const amqp_basic_return_t *r,
                              uint64_t mark);

/* connection.unblocked: deadlines start anew. */
void publish_channel_unblocked(struct publish_channel *o);

/* Moves on what time or a declaration moves. */
void publish_channel_step(struct publish_channel *o);
int64_t publish_channel_due(const struct publish_channel *o); /* monotonic; INT64_MAX: never */

/* Why it cannot be used, or NULL. */
const char *publish_channel_trouble(const struct publish_channel *o);

/* The same, where it is not its declaration. */
const char *publish_channel_own_trouble(const struct publish_channel *o);

#endif
