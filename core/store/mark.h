/*
 * mark - numbers by name, for what must be known at the next start
 */
#ifndef HERALD_STORE_MARK_H
#define HERALD_STORE_MARK_H

#include "store/sqlite/db.h"

/* 0: it was never set. */
int mark_read(struct db *db, const char *name, int64_t *value_out, struct err *err);
int mark_write(struct db *db, const char *name, int64_t value, struct err *err);

#endif
