/*
 * waiting - what lies in the store, told apart by why it waits, and since when it is late
 *
 * For people and alarms: "5 pending, the oldest for 11 min" may be four delayed messages in good
 * order and one that was refused ten times. A message is late from the moment it could first have
 * gone out, or been tried; what is scheduled is not late before its time.
 *
 * At most WAITING_COUNT_MAX rows of a class are counted, so that looking costs the same with a
 * million of them.
 */
#ifndef HERALD_STORE_WAITING_H
#define HERALD_STORE_WAITING_H

#include "base/err.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

struct db;

enum { WAITING_COUNT_MAX = 10000 };

/* Rows of the outbox. */
enum waiting_class {
    WAITING_FRESH,     /* due at once; without a router that says so, some may be in flight */
    WAITING_DUE,       /* its time has come and nobody has taken it yet */
    WAITING_SCHEDULED, /* in good order: its time is yet to come */
    WAITING_REFUSED,   /* the broker, or the route's function, refused it: it is tried again */
    WAITING_UNHEARD,   /* sent, and no word of the broker came: it is sent again */
    WAITING_OUTLET,    /* its exchange or queue takes nothing for now (outbox_backlog.h) */
    WAITING_BEHIND,    /* an earlier row of its lane is to go first */
    WAITING_CLASSES
};

struct waiting_rows {
    int64_t n;
    bool more;        /* there may be more than that */
    int64_t since;    /* wall clock: when the first of them became late; 0: none is */
    int64_t next;     /* wall clock: when the first of them is due again; 0: no such time */
    int64_t attempts; /* the most of any */
};

struct waiting_outbox {
    struct waiting_rows rows[WAITING_CLASSES];
};

/* Retries of one queue. */
struct waiting_queue {
    struct slice queue; /* lent until the call returns, as all text here */
    int64_t due;        /* their time has come */
    int64_t later;      /* it is yet to come */
    int64_t behind;     /* an earlier one of its lane is to go first */
    int64_t since;      /* wall clock: since when the first is due; 0: none is */
    int64_t next;       /* wall clock: when the next one is; 0: none */
    int64_t attempts;   /* of the one that is due first */
    struct slice error; /* what it failed with; absent: it was not tried */
};

/* The word that people and programs see. */
const char *waiting_word(enum waiting_class c);

/* `cursor`: rows up to there that wait for nothing are in flight, as a router says; 0: nobody
 * does. */
int waiting_outbox(struct db *db, int64_t cursor, int64_t now_ms, struct waiting_outbox *out,
                   struct err *err);

typedef void waiting_queue_fn(void *arg, const struct waiting_queue *queue);

/* Calls back for every queue that has retries, in order of their names. */
int waiting_queues(struct db *db, int64_t now_ms, waiting_queue_fn *fn, void *arg, struct err *err);

#endif
