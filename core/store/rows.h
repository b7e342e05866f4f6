/*
 * rows - what people see of the outbox and of retries, and what they do with them
 *
 *   outbox   fresh --> in flight --> postponed --> ... --> sent, or a dead letter
 *            now: a postponed row is due at once; drop: gone
 *   retry    now: due at once; drop: gone, its inbox row DONE
 *
 * What is done is a pick_fn (pick.h). All of it works beside a running router.
 */
#ifndef HERALD_STORE_ROWS_H
#define HERALD_STORE_ROWS_H

#include "store/pick.h"

/* A retry without its body. Lent until the callback returns. */
struct retry_view {
    int64_t id;
    int64_t due_at;   /* ms since 1970 UTC */
    int64_t first_at; /* of the first try */
    int64_t generation;
    int attempts;
    struct slice lane; /* lane.h; due_at LANE_HELD: it waits behind another one */
    bool orphaned;     /* no subscription for its queue when the router last looked */
    struct slice queue;
    struct slice message_id; /* or what else identifies it */
    struct slice type; /* as handlers see it, and so the keys: of the body, where that has them */
    struct slice key[3];
    struct slice error; /* of the last try */
    struct slice tries; /* what each one came to (tries.h) */
};

typedef bool retry_view_fn(void *arg, const struct retry_view *row);

/* Ids above `after`, oldest first, at most `limit`. */
int rows_retries(struct db *db, const struct pick *p, int64_t after, size_t limit,
                 retry_view_fn *fn, void *arg, struct err *err);

/* The store does not know what is in flight: a fresh row may be, and a row that was
 * postponed and is due again is, or waits for its turn. */
enum outbox_state {
    OUTBOX_FRESH,     /* never postponed */
    OUTBOX_AGAIN,     /* postponed, due again: in flight or waiting for its turn */
    OUTBOX_POSTPONED, /* due later */
    OUTBOX_SCHEDULED, /* not due yet for the first time */
    OUTBOX_BEHIND,    /* held: it waits behind another row of its lane */
    OUTBOX_WAITING,   /* set aside: it waits until its outlet has room (outbox_aside.h) */
};

struct outbox_view {
    int64_t id;
    int64_t due_at; /* 0: at once */
    int64_t created_at;
    int attempts; /* publishes that were refused */
    enum outbox_state state;
    struct slice message_id;
    struct slice type;
    struct slice key[3];
    struct slice name;        /* `key`: for replace and cancel */
    struct slice reason;      /* why it was postponed last */
    struct slice exchange;    /* of a leg */
    struct slice routing_key; /* of a leg */
    struct slice lane;        /* absent: none */
    struct slice outlet;      /* that it waits for, or did when it was sent; absent: none */
};

typedef bool outbox_view_fn(void *arg, const struct outbox_view *row);

int rows_outbox(struct db *db, const struct pick *p, int64_t after, size_t limit,
                outbox_view_fn *fn, void *arg, struct err *err);

pick_fn retry_now;
pick_fn retry_drop;
pick_fn outbox_now;
pick_fn outbox_drop;

#endif
