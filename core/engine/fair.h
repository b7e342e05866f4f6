/*
 * fair - queues of one phase take turns, by time
 *
 * Each queue has an account of the time it was given. The one that had the least comes next; for
 * how long, its work says. So many quick messages of one queue cost another one as much as few
 * slow ones. A queue that had nothing to do saves no time up: its account begins where the one
 * served last began (start-time fair queueing).
 *
 * Accounts that stand there need not be kept, so there are few. Undone with its turn: a copy of
 * the struct is all of it.
 */
#ifndef HERALD_ENGINE_FAIR_H
#define HERALD_ENGINE_FAIR_H

#include "base/text.h"

#include <stddef.h>
#include <stdint.h>

enum { FAIR_ACCOUNTS = 1024 };

struct fair_account {
    uint64_t queue; /* hash of its name */
    int64_t at_ms;  /* where it stands */
};

/* Zeroed at first. */
struct fair {
    int64_t now_ms; /* where the one served last began */
    size_t n;
    struct fair_account accounts[FAIR_ACCOUNTS]; /* of those ahead of that */
};

/* Where a queue stands. */
int64_t fair_at(const struct fair *f, struct slice queue);

/* The queue was served for so long. Returns where its account stands now. */
int64_t fair_served(struct fair *f, struct slice queue, int64_t took_ms);

#endif
