/*
 * recent - the last messages that were handled, for trials of new rules
 *
 * As they were received, so that other rules can read them in another way. Bounded:
 * whoever adds some trims the table afterwards, in the same transaction.
 */
#ifndef HERALD_STORE_RECENT_H
#define HERALD_STORE_RECENT_H

#include "base/message.h"
#include "store/sqlite/db.h"

#include <stdbool.h>

/* Lent for the call, in both directions. */
struct recent {
    int64_t at; /* ms since 1970 UTC */
    struct slice queue;
    struct message message; /* before message_resolve */
    struct slice exchange;
    struct slice routing_key;
};

int recent_add(struct db *db, const struct recent *r, struct err *err);

/* Keeps the last `max`. */
int recent_trim(struct db *db, size_t max, struct err *err);

/* The newest first. Returns false to stop. */
typedef bool recent_fn(void *arg, const struct recent *r);
int recent_list(struct db *db, size_t limit, recent_fn *fn, void *arg, struct err *err);

#endif
