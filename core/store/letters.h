/*
 * letters - what people do with dead letters: find, replay, drop
 *
 *   dead letter --replay--> side inbox: a retry that is due now (inbox: WAITING)
 *        |                  side outbox: an outbox row
 *        `------drop------> gone (inbox: DONE, so a redelivery is still known)
 *
 * Both are a pick_fn, so they run in bounded batches, each a transaction: a letter is
 * replayed once, whoever asks and however often. They work beside a running router, which
 * takes the retry or the row as any other.
 */
#ifndef HERALD_STORE_LETTERS_H
#define HERALD_STORE_LETTERS_H

#include "store/dead.h"
#include "store/pick.h"

/* The letters that are meant with ids above `after`, oldest first, at most `limit`. */
int letters_list(struct db *db, const struct pick *p, int64_t after, size_t limit,
                 dead_letter_fn *fn, void *arg, struct err *err);

/* Letters whose errors differ only in what varies (error_group.h). */
struct letter_group {
    int64_t id;         /* error_group */
    int64_t count;      /* letters that are there now */
    int64_t first_at;   /* ms since 1970 UTC, since there has been one all the time */
    int64_t last_at;    /* the youngest */
    struct slice side;  /* "inbox" or "outbox" */
    struct slice queue; /* "" on side outbox */
    struct slice error; /* of the first one */
};

typedef bool letter_group_fn(void *arg, const struct letter_group *group);

/* The largest first. Kept by the letters themselves: cost grows with the groups alone. */
int letters_groups(struct db *db, size_t limit, letter_group_fn *fn, void *arg, struct err *err);

/* Keeps message, message id, error and what the tries came to; attempts begin anew. */
pick_fn letter_replay;
pick_fn letter_drop;

/* Replays one of side inbox as the retry `row` that it was before it died, in its old place in
 * its lane; 0: it was none. */
int letter_recall(struct db *db, int64_t id, int64_t row, int64_t now_ms, struct picked *done,
                  struct err *err);

#endif
