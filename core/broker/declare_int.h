/*
 * declare_int - the inside of declare, for its own files
 *
 * declare_items.c keeps what is asked for and what a plan makes of it, declare.c talks
 * with the broker about it.
 */
#ifndef HERALD_BROKER_DECLARE_INT_H
#define HERALD_BROKER_DECLARE_INT_H

#include "broker/ask.h"
#include "broker/backoff.h"
#include "broker/declare.h"
#include "broker/reason.h"

enum item_kind { ITEM_EXCHANGE, ITEM_QUEUE, ITEM_BINDING, ITEM_TARGET, ITEM_DEAD };
enum item_step { STEP_IDLE, STEP_ASKING, STEP_CREATING, STEP_BINDING };

/* What the rules say of an item besides its name. */
struct item_rule {
    char *origin;                     /* where they name it; owned; NULL */
    enum exchange_kind exchange_kind; /* ITEM_EXCHANGE: created as this */
    enum queue_type queue_type;       /* ITEM_QUEUE: what is stated */
};

struct declare_item {
    enum item_kind kind;
    enum declare_state state;      /* but DROPPED, which is `dropped` */
    enum item_step step;           /* what the broker was asked last */
    char *name;                    /* exchange or queue; of a binding, its routing key; owned */
    struct item_rule rule;         /* as it is in force */
    struct item_rule next;         /* of the plan under way, when `named` */
    struct declare_item *exchange; /* ITEM_BINDING: from */
    struct declare_item *queue;    /* ITEM_BINDING: to; ITEM_DEAD: whose */
    bool absent;                   /* asked for passively, it was not there */
    bool planned;                  /* named by the rules */
    bool named;                    /* named by the plan under way */
    bool fresh;                    /* asked for, or again, by the plan under way */
    bool dropped;                  /* not declared any more */
    bool stale;                    /* taken up again while it was under way */
    int64_t due_ms;                /* REFUSED: when it is tried again */
    unsigned deserted;             /* ITEM_QUEUE, _DEAD: answers that told of no consumer */
    enum queue_form form;          /* ITEM_QUEUE, _DEAD: what the broker was asked for last */
    bool guarded;                  /* ITEM_QUEUE: the broker took it with a dead-letter queue */
    bool seen;                     /* it was there: ITEM_DEAD is made again when it goes */
    struct reason *why;            /* of the last refusal, kept to log it only once */
};

struct declare {
    struct link *link;           /* lent */
    struct log *log;             /* lent */
    struct clock clock;          /* for `due_ms` */
    struct declare_item **items; /* owned, in the order asked for */
    size_t n_items;
    struct declare_item *current; /* under way; NULL: none */
    bool planning;                /* between declare_plan and its end */
    bool channel_open;            /* channel.open was sent in this life of the link */
    struct backoff retry;         /* spreads the retries of refused items */
};

void declare_item_free(struct declare_item **item); /* NULL is fine */

/* Takes it up again by the next step, or as soon as the answer under way is there. */
void declare_item_wait(struct declare *d, struct declare_item *item);

#endif
