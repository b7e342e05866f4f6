/*
 * taken - the set of rules that was taken last, in the engine's words, and who needs it
 */
#ifndef HERALD_STORE_TAKEN_H
#define HERALD_STORE_TAKEN_H

#include "base/buf.h"
#include "base/text.h"
#include "store/sqlite/db.h"

/* Appends it; nothing: no set was ever taken. */
int taken_read(struct db *db, struct buf *out, struct err *err);

/* The types of outbox rows that need a route. Returns false to stop; slices are lent. */
typedef bool taken_type_fn(void *arg, struct slice type);
int taken_types(struct db *db, taken_type_fn *fn, void *arg, struct err *err);

/* Inside a transaction. */
int taken_write(struct db *db, struct slice text, struct err *err);

#endif
