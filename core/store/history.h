/*
 * history - copies of finished messages, for those who want to look back
 *
 * Written in the transaction that finishes them, when the setting `history` is on; nothing
 * reads them but people. Old ones go a few at a time.
 */
#ifndef HERALD_STORE_HISTORY_H
#define HERALD_STORE_HISTORY_H

#include "base/message.h"
#include "store/sqlite/db.h"

/* Lent for the call. */
struct history_row {
    int64_t at;             /* ms since 1970 UTC: when it was finished */
    struct slice side;      /* "inbox" or "outbox" */
    struct slice outcome;   /* inbox: "done", "unhandled"; outbox: "confirmed", "dropped" */
    struct slice queue;     /* absent on side outbox */
    int attempts;           /* tries, or publishes; the first included */
    int64_t generation;     /* of the rules at that time */
    struct message message; /* as it was received, with what was read; as it was sent */
    struct slice exchange;  /* it came from; where a leg went */
    struct slice routing_key;
};

int history_add(struct db *db, const struct history_row *row, struct err *err);

struct history_care {
    int64_t keep_ms; /* for so long; 0: all go */
    int64_t now_ms;  /* wall clock */
    size_t rows;     /* that may go in this call, */
    size_t bytes;    /* and their bodies; one row always may */
};

/* Removes the oldest ones. *more_out: call again soon. */
int history_prune(struct db *db, const struct history_care *c, bool *more_out, struct err *err);

#endif
