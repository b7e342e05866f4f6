/*
 * retry - messages whose handler failed and that are due again later
 *
 * The whole message lives here, not on the broker: the delivery has been acked.
 */
#ifndef HERALD_STORE_RETRY_H
#define HERALD_STORE_RETRY_H

#include "base/buf.h"
#include "base/message.h"
#include "store/sqlite/db.h"

/* Lent until the callback returns (from the store) or for the call (to it). */
struct retry_row {
    int64_t id;
    struct slice queue;
    struct slice identity;  /* absent: no inbox row, handled at least once */
    struct message message; /* as received, before message_resolve */
    struct slice exchange;
    struct slice routing_key;
    struct fingerprint fingerprint;
    bool unidentified; /* the identity is not known yet: rules could not say it, or nobody asked */
    int attempts;      /* tries so far, the first included */
    int64_t first_at;  /* ms since 1970 UTC of the first try, or when it came and was not tried */
    int64_t due_at;
    const char *error;          /* of the last try */
    int64_t generation;         /* of the rules that made it */
    struct slice lane;          /* lane.h; absent: in no order */
    struct slice tries;         /* what each try came to (tries.h); to the store only */
    const struct message *read; /* for people: as rules have read it, where retry_resolve would not;
                                 * NULL: nothing; to the store only */
};

typedef bool retry_row_fn(void *arg, const struct retry_row *row);

/* The id is 0, for the next one, or one that it had before. */
int retry_add(struct db *db, const struct retry_row *row, struct err *err);

/* Gives a message as it was received the type and the keys that a handler is given: those of its
 * body, where that is an envelope, which lend from `e`. What cannot be read keeps what its
 * properties say. Looks at body, content type, type and keys. Fails for want of memory only. */
int retry_resolve(struct message *m, struct envelope *e, struct err *err);

/* Gives each queue that has rows that are due, in order of name, and when the first of them is.
 * Returns false to stop. */
typedef bool retry_queue_fn(void *arg, struct slice queue, int64_t due_at);
int retry_queues(struct db *db, int64_t now_ms, retry_queue_fn *fn, void *arg, struct err *err);

/* A place among the due rows of a queue; zeroed: before all. */
struct retry_place {
    int64_t due_at;
    int64_t id;
};

/* Rows of a queue that are due at `now_ms`, earliest first, from behind a place, which moves to
 * the last one; the callback may call retry_again or retry_remove for any row. Returns false to
 * stop. No row is given twice in a call. */
int retry_due(struct db *db, struct slice queue, int64_t now_ms, struct retry_place *place,
              size_t limit, retry_row_fn *fn, void *arg, struct err *err);
int retry_next_due(struct db *db, int64_t *due_at_out, struct err *err); /* INT64_MAX: none */

/* The same of a row that could not be read before. */
int retry_set_read(struct db *db, int64_t id, const struct message *read, struct err *err);

/* `tries` absent: no try, what they came to stays. */
int retry_again(struct db *db, int64_t id, int attempts, int64_t due_at, const char *error,
                int64_t generation, struct slice tries, struct err *err);

/* What the tries of a row came to, as tries_begin gives it; of a row that is not there,
 * nothing. */
int retry_tries(struct db *db, int64_t id, struct buf *tries, struct err *err);

/* The words of what waits, untried, for a handler that rules had before. */
#define RETRY_UNHANDLED "unhandled: waits for the handler that the rules had until just now"

/* Sets the time alone: it was not tried. */
int retry_defer(struct db *db, int64_t id, int64_t due_at, struct err *err);
/* The same for all rows of a queue that are due at `from` exactly. */
int retry_defer_all(struct db *db, struct slice queue, int64_t from, int64_t due_at,
                    struct err *err);
int retry_remove(struct db *db, int64_t id, struct err *err);

/* What was put off until `until_ms` at the latest because nobody subscribed to its queue
 * ("orphaned: ...") becomes due: so many rows of it. *more_out: there may be others. */
int retry_adopt(struct db *db, int64_t now_ms, int64_t until_ms, size_t limit, bool *more_out,
                struct err *err);

/* Kept up to date by the rows themselves: O(1). */
int retry_count(struct db *db, int64_t *count_out, struct err *err);

/* Where a message stands in its lane that does not become a retry now, but may later: the row that
 * it was (`row`), or, when that is 0, an id that no other retry gets. */
int retry_place(struct db *db, int64_t row, int64_t *place_out, struct err *err);

#endif
