/*
 * bounded - library functions that one call could make run for ever
 *
 * The count hook cannot stop a C function. So those whose work depends on a number or
 * a subject from the script get a cap: string.rep, the pattern functions, the table
 * functions that trust a length, and setmetatable, which must not give a table a __gc
 * (hooks are off while it runs). Coroutines cannot be made or resumed once the call is
 * ended. Each cap replaces the function inside its library table.
 */
#ifndef HERALD_SCRIPT_BOUNDED_H
#define HERALD_SCRIPT_BOUNDED_H

#include <lua.h>

/* Of a pattern function, and the format of os.date. A plain search may have a longer subject: what
 * it costs is at most subject times pattern. */
enum { BOUNDED_SUBJECT_MAX = 1024 * 1024, BOUNDED_PATTERN_MAX = 4096 };

/* RAISES only for want of memory. The libraries are the globals. */
void bounded_install(lua_State *L);

/* Marks the metatable on top of the stack: bounded rawset leaves its tables alone. */
void bounded_mark_read_only(lua_State *L);

#endif
