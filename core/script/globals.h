/*
 * globals - words for names that are not there
 *
 * Reading a global that nobody made, or a field that herald has not, is a slip of the
 * pen; nil would travel until it hurts elsewhere.
 */
#ifndef HERALD_SCRIPT_GLOBALS_H
#define HERALD_SCRIPT_GLOBALS_H

#include <lua.h>

/* Of the table on top, which stands behind the files' environments: reading what is not
 * in it raises. RAISES itself only for want of memory, as the next one. */
void globals_watch(lua_State *L);

/* The same for the table of a module; `what` is its name in the error ("herald.json"). */
void globals_watch_fields(lua_State *L, const char *what);

/* Lua: __newindex of an environment. Files make globals while they run, handlers do not:
 * what one left behind would be there for the next message, and gone after a reload. */
int globals_assign(lua_State *L);

#endif
