/*
 * inbox - one row per (queue, identity) that was ever taken
 *
 *   (absent) --inbox_enter--> DONE | WAITING (a retry row exists) | DEAD (a dead letter exists)
 *
 * A delivery whose row exists is acked and changes nothing; only its own
 * retry row or dead letter moves it on, in the turn's transaction (docs/design.md#the-inbox).
 */
#ifndef HERALD_STORE_INBOX_H
#define HERALD_STORE_INBOX_H

#include "base/message.h"
#include "store/sqlite/db.h"

enum inbox_state { INBOX_DONE = 0, INBOX_WAITING = 1, INBOX_DEAD = 2 };

struct inbox_seen {
    bool known; /* the row was there before; below is what it says */
    enum inbox_state state;
    struct fingerprint fingerprint; /* of the first one */
};

/* Looks the identity up and, where it is unknown, enters it as DONE: one statement. A
 * handler that fails rolls this back with its savepoint; inbox_set then writes the
 * true state. */
int inbox_enter(struct db *db, struct slice queue, struct slice id, struct fingerprint fingerprint,
                int64_t now_ms, struct inbox_seen *out, struct err *err);

/* The same without entering it. */
int inbox_look(struct db *db, struct slice queue, struct slice id, struct inbox_seen *out,
               struct err *err);

/* *any_out: there are rows of FINGERPRINT_OF_READ, which may have other identities than today's. */
int inbox_has_old(struct db *db, bool *any_out, struct err *err);

/* Writes the state of an identity, entering it when absent. Its time starts anew: a row that
 * waited for weeks is not pruned the moment it is done. */
int inbox_set(struct db *db, struct slice queue, struct slice id, struct fingerprint fingerprint,
              enum inbox_state state, int64_t now_ms, struct err *err);

/* Looks at up to `limit` rows taken before `before_ms`, oldest first, and deletes those
 * that are DONE; the others are not looked at again. The floor of each queue that loses one
 * rises to `before_ms`. *more_out: there may be more. */
int inbox_prune(struct db *db, int64_t before_ms, size_t limit, bool *more_out, struct err *err);

/* The end of the last bucket of time of which identities were removed, ms since 1970 UTC; 0: none
 * ever was. No queue's own floor is above it. */
int inbox_floor(struct db *db, int64_t *floor_out, struct err *err);

/* The end of the last bucket of which identities of this queue were removed; 0: none ever was. One
 * of before that may have been there. */
int inbox_floor_of(struct db *db, struct slice queue, int64_t *floor_out, struct err *err);

/* The floor that was common to all queues before an upgrade, until inbox_bequeath; 0: none. Queues
 * of the first rules after it start there, since their ids may have been forgotten. */
int inbox_inherited(struct db *db, int64_t *floor_out, struct err *err);
int inbox_inherit(struct db *db, struct slice queue, int64_t floor, struct err *err);
int inbox_bequeath(struct db *db, struct err *err);

/* A seventh of the window, at least a minute: what goes at once. */
int64_t inbox_bucket_ms(int64_t window_ms);

struct inbox_care {
    int64_t window_ms; /* for so long at least an identity is kept */
    int64_t now_ms;    /* wall clock */
    int64_t passed_ms; /* monotonic, since the last call of this router that was committed */
    bool starting;     /* the first call of this router */
};

/* Removes what is older than the window, at most `limit` rows in a call, and at most one
 * bucket of them in a bucket length of monotonic time. *more_out: call again soon. */
int inbox_care(struct db *db, const struct inbox_care *c, size_t limit, bool *more_out,
               struct err *err);

#endif
