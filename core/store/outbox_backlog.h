/*
 * outbox_backlog - outbox rows that wait until their outlet has room
 *
 *   FRESH, due --- backlog_set -----> BACKLOG --- outbox_claim_backlog ---> in flight
 *
 * An outlet is where rows go: an exchange, or one queue behind the default exchange. It may take
 * less than others, or nothing: what waits for it is in its backlog, so that the walk over the
 * outbox goes on to the rows of others. A row in a backlog has its name in the column `outlet`, and
 * due_at is BACKLOG_DUE, which never comes. Once it is claimed due_at is 0, and the name stays: it
 * may be above the cursor, which passes it over. Whatever is said of it later (postponed, a place
 * in a lane) takes the name away.
 *
 * The rows of one name go in the order of their ids, and the names one after the other.
 */
#ifndef HERALD_STORE_OUTBOX_BACKLOG_H
#define HERALD_STORE_OUTBOX_BACKLOG_H

#include "store/due.h"
#include "store/outbox.h"

/* `outlet` is not empty. */
int backlog_set(struct db *db, int64_t row, struct slice outlet, struct err *err);

/* Whether rows wait for it. */
int backlog_has_rows(struct db *db, struct slice outlet, bool *out, struct err *err);

/* The first name behind `after` (empty: the first of all) for which rows wait, cut to the room
 * for it. *len_out 0: there is none. */
int backlog_next(struct db *db, struct slice after, char *name, size_t size, size_t *len_out,
                 struct err *err);

/* As outbox_claim, but at a glance: id, type, key 2, attempts and leg are there, and no more. */
int backlog_glance(struct db *db, int64_t after, size_t limit, outbox_row_fn *fn, void *arg,
                   int64_t *last_out, struct err *err);

/* At the start: what was claimed when the process ended waits again. */
int backlog_again(struct db *db, struct err *err);

#endif
