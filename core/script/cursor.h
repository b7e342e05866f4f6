/*
 * cursor - the rows of tx:query, one at a time
 *
 *   for row in tx:query("select ...") do ... end
 *
 * A cursor owns its statement. It is given back when the rows are exhausted, when the
 * loop is left (the generic for closes it), when the cursor is collected, and at the
 * latest when the handler ends.
 */
#ifndef HERALD_SCRIPT_CURSOR_H
#define HERALD_SCRIPT_CURSOR_H

#include "script/script_int.h"

/* RAISES only for want of memory: makes the class. */
void cursor_open(lua_State *L);

/* Lua: tx:query(sql, ...). RAISES. */
int cursor_query(lua_State *L, struct script *s);

/* Gives back the statements of all cursors of the call. Never raises. */
void cursor_close_all(struct script *s);

#endif
