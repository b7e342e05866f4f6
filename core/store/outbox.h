/*
 * outbox - messages that somebody committed and the broker has not confirmed yet
 *
 *                     claim                      confirm
 *   FRESH (due_at 0) --------> in flight -------------------------> row deleted
 *     ^                          |   postpone            park
 *     |  due_at reached, claim   |----------> POSTPONED   `-------> dead letter (side outbox)
 *     '--------------------------+------------ (due_at > 0)
 *
 * "In flight" is not written: a claimed row has due_at 0 and an id at or below
 * the engine's cursor. After a crash the cursor starts at 0 and such rows are
 * published again with the same message id. Ids ascend in order of commit (one
 * writer at a time), so "id above the cursor" misses nothing.
 *
 * A row that goes to several destinations becomes a leg for each: FRESH rows of their own
 * with the destination written down, which live and die apart (outbox_add_leg).
 *
 * A row whose outlet has no room is in its BACKLOG (outbox_backlog.h), and the cursor passes it.
 *
 * A row of a lane (lane.h) goes out when it is the first; the others are BEHIND (due_at
 * LANE_BEHIND, which never comes) until a trigger makes them due.
 *
 * herald_outbox is a public contract (docs/design.md#the-outbox): any program may insert.
 */
#ifndef HERALD_STORE_OUTBOX_H
#define HERALD_STORE_OUTBOX_H

#include "base/message.h"
#include "base/topology.h"
#include "store/sqlite/db.h"

/* Lent until the callback returns. The message is complete: id made, a null body
 * replaced by the default one, content_type absent unless a header gives it (the
 * wire looks at the headers itself). */
struct outbox_row {
    int64_t id;
    struct message message;
    int attempts;          /* publishes that were refused so far */
    int64_t created_at;    /* ms since 1970 UTC */
    int64_t due_at;        /* ms since 1970 UTC; above 0 only from outbox_look */
    int64_t first_sent_at; /* ms; since when the broker may have it; 0: it has not */
    int64_t dated_at;      /* ms; what its publishes carry as their time; 0: created_at */
    const char *reason;    /* why it was postponed last; NULL: it never was */
    struct slice lane;     /* of which it is the first; absent: it is in none */
    const char *format;    /* the one its message has by now; "": none, for good; NULL: open */
    int64_t reply_until;   /* ms; so long it is wanted as an answer; 0: it is none */
    struct slice outlet;   /* in whose backlog it was (outbox_backlog.h); absent: in none */
    /* A leg has its destination written down; NULL: the rules say where it goes. */
    const char *leg_kind;     /* exchange_kind_word, "queue" for the default exchange */
    const char *leg_exchange; /* and the next one: never NULL in a leg */
    const char *leg_routing_key;
};

/* Returns false to stop. May postpone or park the row it was given, and write to
 * anything else, but not call the function it was called from. */
typedef bool outbox_row_fn(void *arg, const struct outbox_row *row);

/* Adds a row; message.id absent means that the id is made. */
int outbox_add(struct db *db, const struct message *m, int64_t due_at, int64_t *id_out,
               struct err *err);

/* The same with a key (absent: none): the row replaces the older ones of that key. */
int outbox_add_keyed(struct db *db, const struct message *m, int64_t due_at, struct slice key,
                     int64_t *id_out, struct err *err);

/* An answer: a leg from the start, to this queue. After `until` (ms since 1970) nobody waits for
 * it. */
int outbox_add_reply(struct db *db, const struct message *m, struct slice queue, int64_t until,
                     int64_t *id_out, struct err *err);

/* The highest id there is; 0: none. */
int outbox_last(struct db *db, int64_t *id_out, struct err *err);

/* Deletes the rows of a key and says whether one of them may have been sent: it is in flight,
 * or nobody knows what became of an earlier publish. */
enum cancelled { CANCEL_NONE, CANCEL_DONE, CANCEL_SENT };
int outbox_cancel(struct db *db, struct slice key, int64_t cursor, enum cancelled *out,
                  struct err *err);

/* Adds a leg: the row once more, with its id and body spelled out, for one of several
 * destinations, in a lane of that leg's own when the row has one. Whoever splits a row deletes it
 * in the same transaction. */
int outbox_add_leg(struct db *db, const struct outbox_row *row, const struct destination *to,
                   struct slice lane, struct err *err);

/* Gives one row, whatever its state; ERR_NOT_FOUND when it is gone. */
int outbox_look(struct db *db, int64_t id, outbox_row_fn *fn, void *arg, struct err *err);

/* Gives those that are there, each once; sorts `ids`. The callback must leave them in place. */
int outbox_each(struct db *db, int64_t *ids, size_t n, outbox_row_fn *fn, void *arg,
                struct err *err);

/* Fresh rows with ids above `after`, in order. Rows that are due later or are in a backlog are
 * passed over. *last_out is the last id looked at (the new cursor) as far as the callback said
 * true; a row for which it said false is not passed. Looks at `limit` rows. */
int outbox_claim(struct db *db, int64_t after, size_t limit, outbox_row_fn *fn, void *arg,
                 int64_t *last_out, struct err *err);

/* Postponed rows at or below the cursor that are due: due_at is set to 0 for those
 * for which the callback said true. */
int outbox_claim_due(struct db *db, int64_t cursor, int64_t now_ms, size_t limit, outbox_row_fn *fn,
                     void *arg, struct err *err);

/* Rows that wait for this outlet (outbox_backlog.h), in order: as above, but below or above the
 * cursor. */
int outbox_claim_backlog(struct db *db, struct slice outlet, size_t limit, outbox_row_fn *fn,
                         void *arg, struct err *err);

/* When the earliest postponed row is due; INT64_MAX: none. */
int outbox_next_due(struct db *db, int64_t *due_at_out, struct err *err);

/* Writes down the time that the publishes of these rows carry, where none is yet. */
int outbox_date(struct db *db, const int64_t *ids, size_t n, int64_t dated_at, struct err *err);

/* A row that stands for one that may have been sent at that time: it is as old. */
int outbox_age(struct db *db, int64_t id, int64_t at, struct err *err);

/* What a row sends is fixed before its first send, so that rules which change meanwhile send no
 * other bytes under its id. Gives it its format and what that makes of it; its message id stays.
 * It is due at once then. Or none, where rows may have been sent without one, with the time that
 * they have by that; what has a format keeps it. */
int outbox_set_format(struct db *db, int64_t id, const char *format, const struct message *m,
                      struct err *err);
int outbox_set_no_format(struct db *db, const int64_t *ids, size_t n, struct err *err);

/* What a row that is sent for the first time got on top of its headers. */
int outbox_set_headers(struct db *db, int64_t id, struct slice headers, struct err *err);

/* A row that stands for one whose message had a format has it already (outbox_row). */
int outbox_keep_format(struct db *db, int64_t id, const char *format, struct err *err);

/* Deletes confirmed rows; sorts `ids`; runs of neighbours are one statement. */
int outbox_confirm(struct db *db, int64_t *ids, size_t n, struct err *err);

/* What is written about a row that was tried. Times in ms since 1970 UTC; 0: none, or nobody
 * knows. ERR_NOT_FOUND when it is gone. */
struct outbox_record {
    int attempts;          /* refusals */
    int64_t refused_at;    /* the first one */
    int64_t first_sent_at; /* as in outbox_row */
};
int outbox_record(struct db *db, int64_t id, struct outbox_record *out, struct err *err);

/* Why a row is not confirmed. Only what is said of this very row is an attempt. */
enum outbox_trouble {
    OUTBOX_REFUSED, /* the broker said no to it, which it was sent: one more attempt */
    OUTBOX_DENIED,  /* it was not sent, by its own fault: one more attempt */
    OUTBOX_UNHEARD, /* it was sent, and no word came back: the broker may have it */
    OUTBOX_BACKLOG, /* it was not sent, and that says nothing about it */
};

/* Try again at due_at. A row that is gone is no error. */
int outbox_postpone(struct db *db, int64_t id, enum outbox_trouble trouble, const char *reason,
                    int64_t due_at, struct err *err);

/* Moves the row to the dead letters (side "outbox") with the reason. *parked_out: it was still
 * there, and not confirmed, cancelled or replaced meanwhile; may be NULL. */
int outbox_park(struct db *db, int64_t id, const char *reason, int64_t now_ms, bool *parked_out,
                struct err *err);

struct outbox_counts {
    int64_t pending;   /* rows; exact while small or drained, else see outbox.c */
    int64_t oldest_at; /* created_at of the oldest row, ms; 0: none */
};
int outbox_count(struct db *db, struct outbox_counts *out, struct err *err);

#endif
