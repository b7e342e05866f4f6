/*
 * survey - reads a store that may be broken, and changes nothing in it
 *
 * For `herald doctor` and `herald store stats`: beside a router or without one, whatever version
 * the store is of and however damaged. No schema is opened, nothing is migrated, and the last to
 * close does not empty the WAL.
 */
#ifndef HERALD_STORE_SQLITE_SURVEY_H
#define HERALD_STORE_SQLITE_SURVEY_H

#include "base/err.h"
#include "base/text.h"

#include <stdbool.h>

struct survey;

/* A row's columns as text, lent for the call; `data` is NULL for a null. False ends the reading. */
typedef bool survey_row_fn(void *arg, const struct slice *columns, int n);

/* Called now and then while a statement works. */
typedef void survey_tick_fn(void *arg);

/* ERR_NOT_FOUND: no file there. ERR_BUSY: another process keeps everybody out. ERR_CORRUPT: no
 * database, or one whose first page is damaged. */
int survey_open(struct survey **out, const char *path, struct err *err);
void survey_close(struct survey **out);

/* One statement that reads. `row` may not use the survey. */
int survey_read(struct survey *s, const char *sql, survey_row_fn *row, survey_tick_fn *tick,
                void *arg, struct err *err);

#endif
