/*
 * rules_taken - the set of rules that was taken last, in the engine's words, and who needs it
 */
#ifndef HERALD_STORE_RULES_TAKEN_H
#define HERALD_STORE_RULES_TAKEN_H

#include "base/buf.h"
#include "base/text.h"
#include "store/sqlite/db.h"

/* Appends it; nothing: no set was ever taken. */
int rules_taken_read(struct db *db, struct buf *out, struct err *err);

/* The types of outbox rows that need a route. Returns false to stop; slices are lent. */
typedef bool rules_taken_type_fn(void *arg, struct slice type);
int rules_taken_types(struct db *db, rules_taken_type_fn *fn, void *arg, struct err *err);

/* Inside a transaction. */
int rules_taken_write(struct db *db, struct slice text, struct err *err);

#endif
