/*
 * halt - what an operator has stopped by hand, until it is resumed: all publishing, or a queue
 *
 * Kept in the store, so that a restart does not undo it.
 */
#ifndef HERALD_STORE_HALT_H
#define HERALD_STORE_HALT_H

#include "base/text.h"
#include "store/sqlite/db.h"

enum { HALT_NAME_MAX = 255 }; /* bytes of a queue's name (AMQP 0-9-1, short strings) */

/* `queue` is absent for publishing; `since_ms` is wall clock. Returns false to stop. */
typedef bool halt_fn(void *arg, struct slice queue, int64_t since_ms);

/* In order of name, publishing first. */
int halt_list(struct db *db, halt_fn *fn, void *arg, struct err *err);

/* Transactions of their own. *changed_out: it was not so before. ERR_BUSY: the router is writing,
 * for longer than the store waits. */
int halt_begin(struct db *db, struct slice queue, int64_t now_ms, bool *changed_out,
               struct err *err);
int halt_end(struct db *db, struct slice queue, bool *changed_out, struct err *err);

#endif
