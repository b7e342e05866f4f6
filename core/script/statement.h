/*
 * statement - a handler's SQL statement between the host and Lua
 *
 * The statement being worked on is kept in the call (call.stmt), so that a Lua error at
 * any point loses nothing: the next statement, or the end of the call, gives it back.
 *
 * An error of the statement becomes a Lua error with SQLite's words and the statement;
 * what ended the transaction, or the store's trouble, ends the call (state_end).
 */
#ifndef HERALD_SCRIPT_STATEMENT_H
#define HERALD_SCRIPT_STATEMENT_H

#include "script/script_int.h"

enum { STATEMENT_SQL = 2 }; /* stack index of the text; parameters follow */

/* Prepares the text at STATEMENT_SQL and binds what follows it on the stack: values by
 * position, or one table of named ones. RAISES. */
void statement_begin(lua_State *L, struct script *s);

/* 1: a row, 0: the end. RAISES; the text for the error is at stack index `sql`. */
int statement_step(lua_State *L, struct script *s, void *stmt, int sql);

/* Pushes the row as a table by column name; NULL is an absent field. RAISES only for
 * want of memory. */
void statement_push_row(lua_State *L, void *stmt);

/* Pushes one column. RAISES only for want of memory. */
void statement_push_column(lua_State *L, void *stmt, int column);

/* Gives call.stmt back, if there is one. Never raises. */
void statement_finish(struct script *s);

#endif
