/*
 * declare - makes sure that exchanges, queues and bindings exist
 *
 * What exists is taken as it is: a passive declaration asks first. Only what is
 * absent is created. The broker closes a channel to say no, so all of this happens
 * on channels of its own, the channels, with one item at a time each; one that a no has
 * closed is opened again.
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
 * No answer is waited for for ever. From ASKING, CREATING and BINDING:
 *
 *          15 s, or the broker closes the connection over it
 *   ... -----------------------------------------------------> UNANSWERED
 *                                                              |   ^
 *                       with back-off, on a connection of its own  |  likewise
 *                                                              v   |
 *                                                       ASKING, ..., CONSUMING ---> READY
 *
 * A broker without a majority for a queue answers nothing for 30 to 65 s and then ends the
 * connection with all that others do on it: so what was UNANSWERED is asked for on a connection
 * of its own until it has been answered once, and a queue is READY then only when it can be
 * consumed, too. A channel whose answer is late takes no further item, another takes its place.
 *
 * A target is only looked for: whatever the broker answers, it is READY then.
 *
 * An exchange or a queue of any type goes through ASKING; a queue whose type the
 * rule states goes straight to CREATING, so that a mismatch is a 406 and is
 * explained. One that is there and differs in an argument of its rule is taken as it is, too, once
 * queue_probe.h has told its type. A binding waits for its exchange and its queue. declare_step
 * starts what can be started, declare_method hears the answers. A refusal is logged once, keeps its
 * words, and holds up nobody else.
 *
 * A quorum queue is created with a dead-letter queue (dead_letter_queue.h). One that is there
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
#ifndef HERALD_RABBIT_DECLARE_H
#define HERALD_RABBIT_DECLARE_H

#include "base/clock.h"
#include "base/log.h"
#include "base/topology.h"
#include "broker/broker.h"
#include "rabbit/channels.h"
#include "wire/link.h"

enum declare_state {
    DECLARE_WAITING,
    DECLARE_READY,
    DECLARE_REFUSED,
    DECLARE_UNANSWERED,
    DECLARE_ABSENT, /* a dead-letter queue that is not there, and need not be */
    DECLARE_DROPPED,
};

struct declare;
struct declare_item; /* one exchange, queue, binding or dead-letter queue */

/* `channels`, with their link, and `log` are lent for life. NULL when out of memory. */
struct declare *declare_new(struct channels *channels, struct log *log, struct clock clock);
void declare_free(struct declare **d); /* NULL is fine */

/* Ask for something; what is known already is found again. The strings are copied.
 * `planned` things are named by the rules and count for declare_trouble. Return the
 * item, which lives as long as `d`, or NULL when out of memory. The default exchange
 * must not be asked for: it always exists. */
struct declare_item *declare_exchange(struct declare *d, const struct destination *to,
                                      bool planned);
struct declare_item *declare_queue(struct declare *d, const struct subscription *s);
struct declare_item *declare_dead_queue(struct declare *d, struct declare_item *queue,
                                        const char *name);
struct declare_item *declare_binding(struct declare *d, struct declare_item *exchange,
                                     struct declare_item *queue, const char *routing_key,
                                     const struct arguments *a);

/* The same for all exchanges that a subscription's queue is bound to. OK or ERR_NOMEM. */
int declare_bindings(struct declare *d, struct declare_item *queue, const struct subscription *s);

/* A queue that others make: it is only looked for, and READY whether it is there or not. */
struct declare_item *declare_target(struct declare *d, const char *queue);

/* The delivery limit that was declared for a queue: asked for once, by declarations that cannot
 * come true (queue_probe.h). It is READY whatever the broker answers; -1: none, or it is not known.
 */
struct declare_item *declare_limit(struct declare *d, const char *queue);
int64_t declare_limit_found(const struct declare_item *limit);

/* True for a target that is absent, and for an exchange that was absent and was created for this
 * plan. */
bool declare_was_absent(const struct declare_item *item);

enum declare_state declare_state(const struct declare_item *item);

/* How often the broker has answered for this queue that nobody consumes it. */
unsigned declare_deserted(const struct declare_item *queue);

/* The words of a refusal, or why there is no answer; else "". Lent until the item changes. */
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

/* An exchange that only rows have named is not needed any more: its item goes, unless it is being
 * asked for. Not for one to which something is bound here. */
void declare_forget_exchange(struct declare *d, const char *exchange);

/* The same as declare_again for an exchange by name, where this link knows it. */
void declare_exchange_again(struct declare *d, const char *exchange);

/* The link came up: everything is taken up again. It went down: all channels are gone. */
void declare_up(struct declare *d);
void declare_down(struct declare *d);

/* Before declare_down: the broker has closed the connection over this method (link_fault). What
 * waits for an answer to such a one is UNANSWERED. */
void declare_blame(struct declare *d, amqp_method_number_t method, const char *why);

/* A method that came on a channel of its own (CHANNELS_OF_DECLARE). */
void declare_method(struct declare *d, uint16_t channel, const amqp_method_t *method);

/* The broker has not answered the consume of this queue that is READY: so it is UNANSWERED. */
void declare_unanswered(struct declare *d, struct declare_item *queue, const char *why);

/* Sends what can be sent now. */
void declare_step(struct declare *d);

/* When declare_step has to be called at the latest (monotonic); INT64_MAX: never. */
int64_t declare_due(const struct declare *d);

/* True when nothing waits for an answer but what is late. */
bool declare_is_answered(const struct declare *d);

/* The first item that the rules name and that is refused or unanswered, in words, or NULL. A
 * dead-letter queue is not named by them, and one that others make is their affair. */
const char *declare_trouble(const struct declare *d);

/* The n-th one that is refused or unanswered, dead-letter queues and those of others as well;
 * false, and *n less by those that there are. */
bool declare_trouble_at(const struct declare *d, size_t *n, struct broker_trouble *out);

/* True where the answer for an item that the rules name is late. */
bool declare_is_late(const struct declare *d);

/* What waits for an answer, in words, cut to `size`: returns `out`, or NULL where nothing does. */
const char *declare_awaited(const struct declare *d, char *out, size_t size);

/* For connections of their own (side_connection.h). An UNANSWERED item whose time has come, or
 * NULL; the caller then opens a connection for it, and says what comes of that: it is up; a method
 * or a delivery came on channel 1; it went down, or its time is over, for this reason. The item is
 * done, answered or not, once declare_alone_is_done. */
struct declare_item *declare_alone(struct declare *d);
void declare_alone_up(struct declare *d, struct declare_item *item, struct link *link);
void declare_alone_method(struct declare *d, struct declare_item *item, const amqp_method_t *m);
void declare_alone_content(struct declare *d, struct declare_item *item,
                           const struct codec_content *content);
void declare_alone_down(struct declare *d, struct declare_item *item, const char *why);
bool declare_alone_is_done(const struct declare_item *item);
int64_t declare_alone_due(const struct declare *d); /* monotonic; INT64_MAX: never */

#endif
