/*
 * dsl - how herald.route, herald.subscribe and herald.on become struct rules
 *
 * Lua (scripts/herald/rules.lua) checks what authors write and hands over plain values;
 * C makes the structs. The wrapper around each declaration tells Lua where it was called.
 */
#ifndef HERALD_SCRIPT_DSL_H
#define HERALD_SCRIPT_DSL_H

#include <lua.h>

/* Pushes the table of C functions that rules.lua is given. RAISES only for want of
 * memory. */
void dsl_push_native(lua_State *L);

/* Replaces the function on top by one that is called from rule files: it refuses once
 * the rules are sealed, and passes "rules/x.lua:12" as the first argument. */
void dsl_wrap(lua_State *L, const char *name);

#endif
