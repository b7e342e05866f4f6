/*
 * spec_sql - SQL on a store as another program runs it: a connection of its own, all tables
 *
 * For specs: what the business writes, and what they look at. Texts may hold several
 * statements. The statement at hand belongs to it, so whoever stops in the middle
 * loses nothing: the next spec_sql_begin, or spec_sql_close, ends it.
 *
 *   spec_sql_begin -> ( spec_sql_next -> spec_sql_bind* -> spec_sql_step* )* -> spec_sql_end
 */
#ifndef HERALD_SPEC_SPEC_SQL_H
#define HERALD_SPEC_SPEC_SQL_H

#include "base/value.h"
#include "store/sqlite/db.h"

struct spec_sql;

/* Closed before its db. */
int spec_sql_open(struct spec_sql **out, struct db *db, struct err *err);
void spec_sql_close(struct spec_sql **g); /* NULL is fine */

/* `text` is lent until spec_sql_end. */
void spec_sql_begin(struct spec_sql *g, struct slice text);

/* Prepares the next statement. 1: there is one, 0: the text is over, ERR_SCRIPT with
 * SQLite's words. */
int spec_sql_next(struct spec_sql *g, struct err *err);

int spec_sql_parameters(const struct spec_sql *g);
const char *spec_sql_parameter_name(const struct spec_sql *g, int index); /* ":a"; NULL: "?" */
int spec_sql_bind(struct spec_sql *g, int index, const struct value *v, struct err *err);

/* 1: a row, 0: the end, ERR_SCRIPT. */
int spec_sql_step(struct spec_sql *g, struct err *err);
int spec_sql_columns(const struct spec_sql *g);
const char *spec_sql_column_name(const struct spec_sql *g, int column);
void spec_sql_column(const struct spec_sql *g, int column, struct value *out); /* lent until step */

/* A transaction that is still open is rolled back, and ERR_SCRIPT. */
int spec_sql_end(struct spec_sql *g, struct err *err);

#endif
