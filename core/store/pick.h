/*
 * pick - which rows an operator means, and what is done to them in bounded batches
 *
 * Dead letters, retries and the outbox are chosen by ids or by what the rows hold. A pass
 * notes the ids of all that are meant first: what a running router adds meanwhile, such as
 * the letter of a message that was replayed and failed again, is not meant. Then it goes
 * over them in transactions that are short, so that others can write in between.
 */
#ifndef HERALD_STORE_PICK_H
#define HERALD_STORE_PICK_H

#include "base/text.h"
#include "store/sqlite/db.h"

enum pick_table { PICK_LETTERS, PICK_RETRY, PICK_OUTBOX, PICK_HISTORY };

enum { PICK_IDS_MAX = 10000, PICK_BATCH = 500, PICK_BATCH_BYTES = 16 * 1024 * 1024 };

/* Every condition that is present must hold. */
struct pick {
    const int64_t *ids;      /* lent */
    size_t n_ids;            /* 0: any; at most PICK_IDS_MAX */
    struct slice type;       /* absent: any; so for the next ones. Of a retry as handlers see it */
    struct slice order_type; /* business key 2 */
    struct slice key1, key3;
    struct slice message_id; /* or what a retry or dead letter without one is known by */
    struct slice queue;      /* not of the outbox */
    struct slice side;       /* dead letters, history: "inbox" or "outbox" */
    struct slice lane;       /* outbox */
    struct slice error;      /* a piece of it; not of the history */
    struct slice header;     /* a piece of its headers */
    int64_t group;           /* dead letters: error_group; below 0: any */
    int64_t since_ms;        /* not older than this; 0: any. Of the death, of the first try, of */
    int64_t before_ms;       /* the creation. Older than this; 0: any */
    int64_t later_ms;        /* retries, outbox: due later than this; 0: any */
    bool failed;             /* outbox: postponed before */
};

/* Ids above `after` of what is meant, at most `limit`; ascending, but for later_ms. Of the
 * history the newest first, and what comes behind `after`, unless it is 0. *ids_out is the
 * caller's to free, also after an error. */
int pick_ids(struct db *db, enum pick_table table, const struct pick *p, int64_t after,
             size_t limit, int64_t **ids_out, size_t *n_out, struct err *err);

/* What a pick_fn did. */
struct picked {
    size_t changed;   /* rows it found and changed, so far in this batch */
    size_t bytes;     /* that it had to copy for that */
    size_t too_large; /* rows that it left alone because no rule may be given their body */
};

/* Does one thing to a row, if it is still there. */
typedef int pick_fn(struct db *db, int64_t id, int64_t now_ms, struct picked *done,
                    struct err *err);

/* One transaction over the first of `n` ids: PICK_BATCH, fewer when the rows are large.
 * *passed_out says how many; at least one. A failure undoes the batch. */
int pick_batch(struct db *db, const int64_t *ids, size_t n, pick_fn *fn, size_t *passed_out,
               struct picked *done_out, struct err *err);

/* The SQL that pick_ids runs, for the test of plans. */
int pick_sql(enum pick_table table, const struct pick *p, char *out, size_t size);

#endif
