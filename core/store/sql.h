/*
 * sql - handlers' statements: prepared once, watched by an authorizer
 *
 * What is prepared and stepped here is watched: the authorizer denies what a handler
 * must not do (docs/design.md#what-handlers-may-write): transactions, savepoints, ATTACH, PRAGMA,
 * DDL, and any write to herald_* tables, except that triggers of business tables may write to
 * herald_outbox. It is set once and switched by a flag; herald's own statements are never watched.
 * Every statement that a handler left open is reset by sql_leave, and answers ERR_SCRIPT from then
 * on until it is given back.
 */
#ifndef HERALD_STORE_SQL_H
#define HERALD_STORE_SQL_H

#include "base/buf.h"
#include "base/value.h"
#include "store/sqlite/db.h"

struct sql;
struct sql_stmt;

/* Made and freed with the store's owner, before db_close; at most `cache` idle
 * statements are kept. sql_free takes statements along that were not given back. */
int sql_new(struct sql **out, struct db *db, size_t cache, struct err *err);
void sql_free(struct sql **out);

/* A handler begins and ends. A statement that runs beyond `deadline_ms` (monotonic;
 * INT64_MAX: none) is interrupted: ERR_SCRIPT, or ERR_TX_LOST where it had written. */
void sql_enter(struct sql *sql, int64_t deadline_ms);
void sql_leave(struct sql *sql);

/* A statement from the cache or prepared anew, ready to be bound; exactly one
 * statement in the text. ERR_SCRIPT: wrong SQL, or forbidden, with SQLite's words
 * and the statement. */
int sql_prepare(struct sql *sql, struct slice text, struct sql_stmt **out, struct err *err);

/* Right after a failed sql_prepare: the byte of the text it is about; -1: not known. */
int sql_error_at(const struct sql *sql);

int sql_parameters(const struct sql_stmt *s);                        /* how many */
const char *sql_parameter_name(const struct sql_stmt *s, int index); /* NULL: "?" */
int sql_bind(struct sql_stmt *s, int index, const struct value *v, struct err *err);

/* 1: a row, 0: the end, ERR_SCRIPT: the statement failed (constraint and the like),
 * ERR_TX_LOST: it ended the turn's transaction, an environment code: the store's
 * trouble. */
int sql_step(struct sql_stmt *s, struct err *err);

int sql_columns(const struct sql_stmt *s);
const char *sql_column_name(const struct sql_stmt *s, int column);
void sql_column(const struct sql_stmt *s, int column, struct value *out); /* lent until step */
int64_t sql_changes(const struct sql *sql);

/* Rows changed since the store was opened, triggers' included. */
int64_t sql_total_changes(const struct sql *sql);

/* Appends the statement with its parameters in place; false for want of memory. */
bool sql_expand(const struct sql_stmt *s, struct buf *out);

/* Ends its run, so that sql_total_changes counts it; its parameters stay. */
void sql_end(struct sql_stmt *s);

/* Resets and gives the statement back to the cache. */
void sql_done(struct sql_stmt **out);

#endif
