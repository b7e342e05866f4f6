/*
 * letter - dead letters: messages nobody will try again by itself, kept whole
 *
 * side "inbox": a handler gave up on a delivery; "outbox": a row that could not
 * be published.
 */
#ifndef HERALD_STORE_LETTER_H
#define HERALD_STORE_LETTER_H

#include "base/message.h"
#include "store/sqlite/db.h"

enum letter_side { LETTER_INBOX, LETTER_OUTBOX };

struct letter {
    int64_t id;
    enum letter_side side;
    struct slice queue;     /* side inbox */
    struct slice identity;  /* absent: none */
    struct message message; /* type and keys resolved where they could be read */
    struct slice exchange;  /* it came from; where a leg was to go */
    struct slice routing_key;
    const char *leg_kind; /* side outbox: the row was a leg; NULL: it was none */
    struct fingerprint fingerprint;
    int attempts;
    const char *error;     /* one line or more, never empty */
    const char *traceback; /* NULL: none */
    int64_t generation;    /* of the rules that gave up; 0: the core itself */
    int64_t at;            /* ms since 1970 UTC */
    struct slice lane;     /* it was in (lane.h); absent: in no order */
    bool holds;            /* the lane waits until it is replayed, dropped or released */
    int64_t place;         /* in the lane that it holds: the id of the retry it becomes; 0: none */
    const char *format;    /* side outbox, and the next one: as in outbox_row */
    int64_t reply_until;
    struct slice tries; /* what each try came to (tries.h); absent: nobody knows */
};

typedef bool letter_fn(void *arg, const struct letter *letter);

/* To the tries that the letter comes with, its death is added as the last one.
 * A letter with the same side, queue, identity and fingerprint is kept once: the
 * second one changes nothing (a redelivery after a crash), which *added_out says. Both may be
 * NULL. */
int letter_add(struct db *db, const struct letter *letter, int64_t *id_out, bool *added_out,
               struct err *err);

/* The newest first. */
int letter_newest(struct db *db, size_t limit, letter_fn *fn, void *arg, struct err *err);
/* ERR_NOT_FOUND when there is no such letter. */
int letter_get(struct db *db, int64_t id, letter_fn *fn, void *arg, struct err *err);

/* Kept up to date by the rows themselves: O(1). */
int letter_count(struct db *db, int64_t *count_out, struct err *err);

#endif
