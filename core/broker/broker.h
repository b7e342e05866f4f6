/*
 * broker - what the engine sees of a message broker
 *
 * The functions are named in the order in which a turn calls them (docs/design.md#the-turn):
 *
 *   inside the store's transaction   take_endangered or take -> accept, publish, settled
 *   after the commit                 tell
 *   after a rollback                 forget (as if the turn had not been)
 *
 * Two drivers: rabbitmq (deliveries and confirms were gathered by the loop
 * before the turn; acks and publishes go out in tell) and embedded (all of it
 * are rows of the store, so publish and ack belong to the transaction).
 *
 * All calls come from the engine's thread. Whatever is lent by take and settled
 * stays valid until tell or forget.
 */
#ifndef HERALD_BROKER_BROKER_H
#define HERALD_BROKER_BROKER_H

#include "base/err.h"
#include "base/message.h"
#include "base/topology.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct delivery {
    const struct subscription *subscription; /* whose queue it came from */
    struct message message;                  /* as received, before message_resolve */
    struct slice exchange;                   /* where it was published to */
    struct slice routing_key;
    const char *defect; /* lent, normally NULL: why it is a dead letter (too large: no body) */
    const char *dead_lettered; /* lent, normally NULL: why the broker gave up on it, which makes it
                                * a dead letter without a handler (rabbit/dead_letter_queue.h) */
    bool redelivered;          /* the broker's word; false proves nothing */
    bool endangered;           /* it came back so often that the broker may soon give up on it */
    uint64_t tag;              /* driver's: delivery tag or row id */
    uint64_t incarnation;      /* driver's: which life of the channel; a stale one is never acked */
    void *owner;               /* driver's */
};

/* What became of a published outbox row. */
enum publish_outcome {
    PUBLISH_CONFIRMED, /* the broker has it: the row may go */
    PUBLISH_RETURNED,  /* no queue took it */
    PUBLISH_NACKED,    /* the broker could not, or not to this exchange; it may later */
    PUBLISH_REFUSED,   /* the broker never will, as this row is; `why` in its words */
    PUBLISH_TIMED_OUT, /* no word in time */
    PUBLISH_UNKNOWN,   /* the channel went away first; `why` says how */
    PUBLISH_UNSENT,    /* it could not be sent when told; `why` says how */
};

struct settlement {
    int64_t row;                  /* outbox row */
    enum publish_outcome outcome; /* what became of it */
    const char *why; /* lent; a NACKED has one when it closed its channel; TIMED_OUT has none */
};

/* How deliveries come, the least first. */
enum broker_pace {
    PACE_STOP, /* none: what was not accepted goes back, once; nothing lies unacked */
    PACE_ONE,  /* one at a time */
    PACE_FLOW, /* as the subscription says */
};

/* For status, logs and readiness. */
struct broker_state {
    const char *word;     /* "up", "connecting", "waiting", "blocked", "embedded", "stopped" */
    const char *error;    /* why it is not up, or which declaration was refused; "" */
    bool ready;           /* publishing and every subscription that is to flow work */
    size_t in_flight;     /* published rows without an outcome */
    size_t unacked;       /* not acked yet */
    size_t unacked_bytes; /* their sizes */
    const char *tls; /* "TLSv1.3" of the last connection; "": it is without, or there was none */
    int64_t certificate_ends; /* of ours, as the next one ms since 1970 UTC; 0: there is none */
    int64_t peer_certificate_ends; /* of the broker's */
};

/* One thing of the rules that does not work, and holds up nothing else. */
struct broker_trouble {
    const char *what; /* "queue", "exchange", "binding", ... */
    const char *name; /* of the thing; a binding's is its queue's; lent, as `why` */
    const char *why;
    bool standby; /* it is as it should be, and waits for another to go */
};

/* What a broker can tell of where a destination leads, without a message being sent. */
enum broker_reach {
    REACH_ASKING,   /* it has not answered yet */
    REACH_NO_QUEUE, /* no queue takes what goes there */
    REACH_OPEN,     /* some queue does, or nobody can tell */
};

struct broker; /* starts with `const struct broker_ops *ops` */

struct broker_ops {
    /* Opens links and takes up the topology (lent until the next topology or
     * free); never blocks, never fails for what the broker says: it tries for
     * ever and reports through state. The embedded driver declares at once. */
    int (*start)(struct broker *b, const struct topology *t, struct err *err);

    /* Between two turns, after start: the next generation's topology (lent until the one
     * after it) takes the place of the former, which is not looked at any more once this
     * returns. A queue that stays goes on without a break, whatever is unacked of it; a new one
     * is declared and consumed; one that is gone is no longer consumed: its channel closes,
     * and what was not handled yet is delivered again to whoever takes it next. Nothing is
     * ever deleted or unbound on the broker. ERR_NOMEM and the store's codes: nothing has
     * changed. */
    int (*change)(struct broker *b, const struct topology *t, struct err *err);

    /* Rows that may be published now; 0 while away or blocked. */
    size_t (*room)(struct broker *b);

    /* Lends up to `max` deliveries, oldest first, in order per queue (the engine chooses among
     * the queues, so more than it will handle): fills
     * out[0..*n_out). Further calls in a turn lend the ones behind. */
    int (*take)(struct broker *b, struct delivery **out, size_t max, size_t *n_out,
                struct err *err);

    /* The same for those that are endangered, which take does not lend: none of them may be in
     * hand while a handler runs. */
    size_t (*take_endangered)(struct broker *b, struct delivery **out, size_t max);

    /* This delivery's outcome is in the transaction: ack it when told. */
    int (*accept)(struct broker *b, struct delivery *d, struct err *err);

    /* Publishes an outbox row when told; `m` and `to` are copied or encoded
     * before it returns. OK; ERR_BUSY: no room on this exchange now, keep the row
     * and ask again later; ERR_INPUT: this row can never be published as it is
     * (too large, a key over 255 bytes), with the reason: park it; ERR_BROKER: its
     * exchange is refused, with the reason: that is an attempt; any other: it cannot go
     * now, which says nothing about it: postpone it. */
    int (*publish)(struct broker *b, int64_t row, const struct destination *to,
                   const struct message *m, struct err *err);

    /* Lends up to `max` settlements, in the order in which they came. Further calls in a turn
     * lend the ones behind. */
    size_t (*settled)(struct broker *b, struct settlement *out, size_t max);

    void (*tell)(struct broker *b);
    void (*forget)(struct broker *b);

    /* Between two turns: deliveries of a queue come at this pace from now on, through
     * reconnects and changes of the topology, until it is left. A NULL queue: of all queues,
     * and the slower of the two counts. A queue nobody subscribes to is fine. */
    void (*pace)(struct broker *b, const char *queue, enum broker_pace pace);

    /* True when take or settled would give something now. */
    bool (*pending)(struct broker *b);

    void (*state)(struct broker *b, struct broker_state *out);

    /* Fills in the n-th thing that does not work; false: there are no more. What it lends stays
     * until the loop runs again. NULL: a driver on which nothing can be refused. */
    bool (*trouble)(struct broker *b, size_t n, struct broker_trouble *out);

    /* Where a destination of a route of the topology in force leads. NO_QUEUE is told once
     * the topology is taken up, and may be out of date soon after. */
    enum broker_reach (*reach)(struct broker *b, const struct destination *to);

    /* Between two turns, after start: what proves who is who (certificates, keys) may lie there
     * anew. Connections that were made with other files are given up and made again. ERR_CONFIG:
     * what lies there is of no use, and nothing has changed. NULL: a driver without any. */
    int (*renew)(struct broker *b, struct err *err);

    /* Stops taking new deliveries; confirms still come in and acks still go out. */
    void (*drain)(struct broker *b);

    /* Closes the links in an orderly way and calls done(arg) once nothing of it is
     * left on the loop. Safe to call at any time after start, once. */
    void (*stop)(struct broker *b, void (*done)(void *arg), void *arg);

    void (*free)(struct broker **b);
};

struct broker {
    const struct broker_ops *ops;
};

/* Called by a driver when something may have become takeable, settled or
 * publishable. Only sets a flag: it must not call back into the broker. */
typedef void broker_wake_fn(void *arg);

#endif
