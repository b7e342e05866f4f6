/*
 * declare_int - the inside of declare, for its own files
 *
 * declare_items.c keeps what is asked for and what a plan makes of it, declare.c talks
 * with the broker about it, on the channels of declare_channels.c, and declare_alone.c on
 * connections of their own about what it has left without an answer.
 */
#ifndef HERALD_RABBIT_DECLARE_INT_H
#define HERALD_RABBIT_DECLARE_INT_H

#include "base/backoff.h"
#include "rabbit/channel.h"
#include "rabbit/channels.h"
#include "rabbit/declare.h"
#include "rabbit/queue_probe.h"
#include "rabbit/reason.h"

enum item_kind { ITEM_EXCHANGE, ITEM_QUEUE, ITEM_BINDING, ITEM_TARGET, ITEM_DEAD, ITEM_LIMIT };
enum item_step {
    STEP_IDLE,
    STEP_ASKING,
    STEP_CREATING,
    STEP_BINDING,
    STEP_CONSUMING,
    STEP_PROBING, /* a queue that is there with other arguments: of which type it is */
};

enum {
    DECLARE_CHANNELS_MAX = 128, /* with those that wait for a late answer */
    DECLARE_CHANNELS_BUSY = 16, /* that wait for one that is not late yet */
    ANSWER_LATE_MS = 2 * 1000,  /* from here on an answer is not waited for by others */
    ANSWER_MOST_MS = 15 * 1000, /* and from here on by nobody; a broker's own limit is 30 s */
};

/* A channel on which one item at a time is asked for: so each answer, and each close, belongs
 * to one item. */
struct declare_channel {
    struct link *link;         /* lent: the declare's, or of a connection of its item's own */
    uint16_t channel;          /* 0: none */
    bool open;                 /* channel.open was sent, and nothing has closed it */
    struct declare_item *item; /* under way; NULL: none */
    int64_t since_ms;          /* when it was asked */
};

/* What the rules say of an item besides its name. */
struct item_rule {
    char *origin;                     /* where they name it; owned; NULL */
    enum exchange_kind exchange_kind; /* ITEM_EXCHANGE: created as this */
    enum queue_type queue_type;       /* ITEM_QUEUE: what is stated */
    struct arguments arguments;       /* ITEM_QUEUE: what it is made with; owned */
};

struct declare_item {
    enum item_kind kind;
    enum declare_state state;         /* but DROPPED, which is `dropped` */
    enum item_step step;              /* what the broker was asked last */
    struct declare_channel *asked_on; /* on which it is under way; NULL: it is not */
    struct declare_channel own;       /* the one of a connection of its own */
    bool alone;                       /* it went unanswered: it is asked on its own channel only */
    struct backoff backoff;           /* UNANSWERED: until it is asked again */
    char *name;                       /* exchange or queue; of a binding, its routing key; owned */
    struct item_rule rule;            /* as it is in force */
    struct item_rule next;            /* of the plan under way, when `named` */
    struct declare_item *exchange;    /* ITEM_BINDING: from */
    struct declare_item *queue;       /* ITEM_BINDING: to, also an exchange; ITEM_DEAD: whose */
    struct arguments bound_with;      /* ITEM_BINDING: its arguments; owned */
    bool absent;                      /* asked for passively, it was not there */
    bool planned;                     /* named by the rules */
    bool named;                       /* named by the plan under way */
    bool fresh;                       /* asked for, or again, by the plan under way */
    bool dropped;                     /* not declared any more */
    bool stale;                       /* taken up again while it was under way */
    int64_t due_ms;                   /* REFUSED, UNANSWERED: when it is tried again */
    unsigned deserted;                /* ITEM_QUEUE, _DEAD: answers that told of no consumer */
    enum queue_form form;             /* ITEM_QUEUE, _DEAD: what the broker was asked for last */
    bool dead_letters;                /* ITEM_QUEUE: the broker took it with a dead-letter queue */
    bool seen;                        /* it was there: ITEM_DEAD is made again when it goes */
    struct queue_probe *probe;        /* ITEM_LIMIT, and STEP_PROBING: owned */
    struct reason *why;               /* of the last refusal, kept to log it only once */
};

struct declare {
    struct link *link;           /* lent */
    struct channels *channels;   /* of the link; lent */
    struct log *log;             /* lent */
    struct clock clock;          /* for `due_ms` */
    struct declare_item **items; /* owned, in the order asked for */
    size_t n_items;
    struct declare_channel declaring[DECLARE_CHANNELS_MAX]; /* the first one is kept, the others go
                                                               when all is answered */
    bool planning;                                          /* between declare_plan and its end */
    bool any_alone;                                         /* false: no item is `alone` */
    struct backoff retry; /* spreads the retries of refused items */
};

void declare_item_free(struct declare_item **item); /* NULL is fine */

/* Takes it up again by the next step, or as soon as the answer under way is there. */
void declare_item_wait(struct declare *d, struct declare_item *item);

/* "queue", "exchange", ...; a binding is known to people by its queue. */
const char *declare_item_kind(const struct declare_item *item);
const char *declare_item_name(const struct declare_item *item);

/* Keeps the words of a trouble; true when they are others than before. */
bool declare_item_blame(struct declare_item *item, const char *why);

/* Begins to ask what a queue is. OK or ERR_NOMEM. */
int declare_item_probe(struct declare_item *item);

/* declare.c: its first question, on the channel that it has; nothing is under way any more; what
 * came on its channel. */
void declare_item_begin(struct declare *d, struct declare_item *item);
void declare_item_release(struct declare *d, struct declare_item *item);
void declare_item_answer(struct declare *d, struct declare_item *item, const amqp_method_t *m);

/* declare.c: whether a binding or a dead-letter queue may be asked for yet. */
bool declare_item_may_go(struct declare *d, struct declare_item *item);

/* declare_channels.c: a channel for one more item, or NULL for now; puts the item on it. */
struct declare_channel *declare_channel_for_one(struct declare *d);
void declare_channel_take(struct declare *d, struct declare_channel *dc, struct declare_item *item);

/* declare_channels.c: what has been waited for too long is UNANSWERED; channels that are not needed
 * any more are closed; when it has to be called again. */
void declare_channels_step(struct declare *d, int64_t now);
int64_t declare_channels_due(const struct declare *d);
void declare_channels_down(struct declare *d);
bool declare_channel_is_late(const struct declare_channel *dc, int64_t now);

/* declare_alone.c: it was not answered. */
void declare_item_miss(struct declare *d, struct declare_item *item, const char *why);

/* declare_alone.c: the broker has answered for one such item; the others need not wait. */
void declare_alone_hasten(struct declare *d);

#endif
