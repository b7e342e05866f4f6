/*
 * spec_sql - SQL on a store as another program runs it: a connection of its own, all tables
 *
 * For specs: what the business writes, and what they look at. Texts may hold several
 * statements. The statement at hand belongs to the guest, so whoever stops in the middle
 * loses nothing: the next guest_begin, or guest_close, ends it.
 *
 *   guest_begin -> ( guest_next -> guest_bind* -> guest_step* )* -> guest_end
 */
#ifndef HERALD_SPEC_SPEC_SQL_H
#define HERALD_SPEC_SPEC_SQL_H

#include "base/value.h"
#include "store/sqlite/db.h"

struct guest;

/* Closed before its db. */
int guest_open(struct guest **out, struct db *db, struct err *err);
void guest_close(struct guest **g); /* NULL is fine */

/* `text` is lent until guest_end. */
void guest_begin(struct guest *g, struct slice text);

/* Prepares the next statement. 1: there is one, 0: the text is over, ERR_SCRIPT with
 * SQLite's words. */
int guest_next(struct guest *g, struct err *err);

int guest_parameters(const struct guest *g);
const char *guest_parameter_name(const struct guest *g, int index); /* ":a"; NULL: "?" */
int guest_bind(struct guest *g, int index, const struct value *v, struct err *err);

/* 1: a row, 0: the end, ERR_SCRIPT. */
int guest_step(struct guest *g, struct err *err);
int guest_columns(const struct guest *g);
const char *guest_column_name(const struct guest *g, int column);
void guest_column(const struct guest *g, int column, struct value *out); /* lent until step */

/* A transaction that is still open is rolled back, and ERR_SCRIPT. */
int guest_end(struct guest *g, struct err *err);

#endif
