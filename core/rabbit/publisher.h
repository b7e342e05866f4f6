/*
 * publisher - the publishing half of the rabbit driver: rows out, outcomes back
 *
 *                publisher_publish        publisher_tell          the broker's word
 *   (not ours) -------------------> PENDING ------------> IN FLIGHT ----------------> SETTLED
 *       ^                              |                                                |
 *       |    publisher_forget          |       publisher_tell after publisher_settled   |
 *       '------------------------------'------------------------------------------------'
 *
 *   PENDING    encoded into a buffer of our own; the link knows nothing of it, because
 *              the row's transaction may still be rolled back
 *   IN FLIGHT  handed to the link and in its outlet's window
 *   SETTLED    its outcome waits for a turn (settlements.h)
 *
 * Each exchange, and each queue behind the default one, has a part of the window (quota.h). At
 * most `window` rows are pending or in flight, and at most twice as many are
 * anything but told, so that nothing here grows.
 */
#ifndef HERALD_RABBIT_PUBLISHER_H
#define HERALD_RABBIT_PUBLISHER_H

#include "broker/broker.h"
#include "rabbit/declare.h"
#include "wire/link.h"

struct publisher;

struct publisher_settings {
    struct link *link;                             /* lent for life */
    struct channels *channels;                     /* of the link; lent for life */
    struct log *log;                               /* lent for life */
    struct clock clock;                            /* for deadlines */
    struct declare *declare;                       /* of the same link; lent for life */
    size_t window;                                 /* unconfirmed publishes at most, 1 to 65536 */
    int64_t confirm_timeout_ms;                    /* a confirm is due after this */
    int64_t backoff_min_ms;                        /* wait after the broker closed a channel */
    int64_t backoff_max_ms;                        /* ceiling of that wait */
    void (*gone)(void *arg, const char *exchange); /* an exchange was deleted */
    void *gone_arg;                                /* lent to it */
};

struct publisher *publisher_new(const struct publisher_settings *settings, struct err *err);
void publisher_free(struct publisher **p); /* NULL is fine */

/* An exchange of the next plan (declare.h): its channel is opened once the plan is
 * adopted and the link is up, where there are enough. OK or ERR_NOMEM. */
int publisher_plan(struct publisher *p, const struct destination *to, struct err *err);

/* As broker_ops. */
size_t publisher_room(const struct publisher *p);
int publisher_publish(struct publisher *p, int64_t row, const struct destination *to,
                      const struct message *m, struct err *err);
size_t publisher_settled(struct publisher *p, struct settlement *out, size_t max);
void publisher_tell(struct publisher *p);
void publisher_forget(struct publisher *p);

/* True when publisher_settled would give something. */
bool publisher_pending(const struct publisher *p);

/* Published rows without an outcome. */
size_t publisher_in_flight(const struct publisher *p);

/* Events of the link. */
void publisher_up(struct publisher *p);
void publisher_down(struct publisher *p, const struct err *why);
void publisher_method(struct publisher *p, uint16_t channel, const amqp_method_t *method);
void publisher_content(struct publisher *p, const struct codec_content *content);
void publisher_blocked(struct publisher *p, const char *reason); /* NULL: unblocked */

/* Moves on what time or a declaration moves. */
void publisher_step(struct publisher *p);
int64_t publisher_due(const struct publisher *p); /* monotonic; INT64_MAX: never */

/* How the broker broke the protocol since the last call, or NULL: reconnect. */
const char *publisher_broken(struct publisher *p);

/* Why an exchange cannot be used, or which exchange or queue is silent (quota.h), or NULL; lent
 * until the next call. */
const char *publisher_trouble(const struct publisher *p);

/* As declare_trouble_at, of exchanges whose declaration is well. */
bool publisher_trouble_at(const struct publisher *p, size_t *n, struct broker_trouble *out);

#endif
