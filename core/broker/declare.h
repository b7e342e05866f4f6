/*
 * declare - makes sure that exchanges, queues and bindings exist, one at a time
 *
 * What exists is taken as it is: a passive declaration asks first. Only what is
 * absent is created. The broker closes a channel to say no, so all of this happens
 * on a channel of its own (CHANNEL_DECLARE), which is opened again after each no.
 *
 *                          passive: ok                      declare_again, link down
 *   WAITING --> ASKING ------------------------> READY ----------------------------> WAITING
 *      |          | passive: 404                   ^
 *      |          v                                |
 *      |-----> CREATING ---- declare-ok -----------|
 *      |          | 403, 406, ...                  |
 *      |          v                                |
 *      |       REFUSED --- 30 s ---> WAITING       |
 *      |          ^ 403, 404, ...                  |
 *      '-----> BINDING ----- bind-ok --------------'
 *
 * A target is only looked for: whatever the broker answers, it is READY then.
 *
 * An exchange or a queue of any type goes through ASKING; a queue whose type the
 * rule states goes straight to CREATING, so that a mismatch is a 406 and is
 * explained. A binding waits for its exchange and its queue. declare_step starts
 * the next item, declare_method hears the answer. A refusal is logged once, keeps
 * its words, and holds up nobody else.
 *
 * A quorum queue is created with a dead-letter queue (given_up.h). One that is there
 * without, made before or by somebody else, refuses that with a 406 and is declared
 * plain then; so is one where the user may not have it dead-lettered. The dead-letter
 * queue is an item of its own behind its queue: made where the broker took the queue
 * with it, else looked for, and where there is none it is ABSENT, which is no trouble.
 *
 * The rules change: between declare_plan and declare_adopt, what is asked for is the
 * next plan. Whatever the former one named and the next does not is then DROPPED: not
 * declared any more (it may have been deleted on purpose), and no trouble of anybody;
 * asking for it takes it up again.
 *
 * Each link has one of these and declares what it needs itself: the publishing
 * link may be blocked by an alarm while the consuming one is not.
 */
#ifndef HERALD_BROKER_DECLARE_H
#define HERALD_BROKER_DECLARE_H

#include "base/clock.h"
#include "base/log.h"
#include "base/topology.h"
#include "wire/link.h"

enum declare_state {
    DECLARE_WAITING,
    DECLARE_READY,
    DECLARE_REFUSED,
    DECLARE_ABSENT, /* a dead-letter queue that is not there, and need not be */
    DECLARE_DROPPED,
};

struct declare;
struct declare_item; /* one exchange, queue, binding or dead-letter queue */

/* `link` and `log` are lent for life. NULL when out of memory. */
struct declare *declare_new(struct link *link, struct log *log, struct clock clock);
void declare_free(struct declare **d); /* NULL is fine */

/* Ask for something; what is known already is found again. The strings are copied.
 * `planned` things are named by the rules and count for declare_refused. Return the
 * item, which lives as long as `d`, or NULL when out of memory. The default exchange
 * must not be asked for: it always exists. */
struct declare_item *declare_exchange(struct declare *d, const struct destination *to,
                                      bool planned);
struct declare_item *declare_queue(struct declare *d, const struct subscription *s);
struct declare_item *declare_dead_queue(struct declare *d, struct declare_item *queue,
                                        const char *name);
struct declare_item *declare_binding(struct declare *d, struct declare_item *exchange,
                                     struct declare_item *queue, const char *routing_key);

/* The same for all exchanges that a subscription's queue is bound to. OK or ERR_NOMEM. */
int declare_bindings(struct declare *d, struct declare_item *queue, const struct subscription *s);

/* A queue that others make: it is only looked for, and READY whether it is there or not. */
struct declare_item *declare_target(struct declare *d, const char *queue);

/* A target that is not there; an exchange that was not, and was created for this plan. */
bool declare_was_absent(const struct declare_item *item);

enum declare_state declare_state(const struct declare_item *item);

/* How often the broker has answered for this queue that nobody consumes it. */
unsigned declare_deserted(const struct declare_item *queue);

/* The words of a refusal; "" when it is not refused. Lent until the item changes. */
const char *declare_why(const struct declare_item *item);

/* Begins the next plan. Nothing of it is asked of the broker before it is adopted. */
void declare_plan(struct declare *d);

/* It takes the place of the former: drops what it does not name, asks again for what it
 * states otherwise and for what was refused. True when it names anything that was not
 * declared until now. */
bool declare_adopt(struct declare *d);

/* It is not to be: all is as it was. */
void declare_abandon(struct declare *d);

/* The broker has shown that the item is gone or changed: it and its bindings are
 * taken up again by the next step. */
void declare_again(struct declare *d, struct declare_item *item);

/* The same for an exchange by name, where this link knows it. */
void declare_exchange_again(struct declare *d, const char *exchange);

/* The link came up: everything is taken up again. It went down: all channels are gone. */
void declare_up(struct declare *d);
void declare_down(struct declare *d);

/* A method that came on CHANNEL_DECLARE. */
void declare_method(struct declare *d, const amqp_method_t *method);

/* Sends what is to be sent next. */
void declare_step(struct declare *d);

/* When declare_step has to be called at the latest (monotonic); INT64_MAX: never. */
int64_t declare_due(const struct declare *d);

/* True when nothing waits for an answer. */
bool declare_is_settled(const struct declare *d);

/* The first refused item that the rules name, in words, or NULL. A dead-letter queue is
 * not named by them. */
const char *declare_refused(const struct declare *d);

#endif
