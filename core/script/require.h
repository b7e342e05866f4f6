/*
 * require - `require` for rule files: herald, and the modules of the router's lib/
 *
 * require "lib.money" runs lib/money.lua of the same folder, or else the one of the router's
 * folder above it, once in each generation, with an environment like a rule file's. Modules
 * come from the sources that were read with the rules, never from the disk.
 */
#ifndef HERALD_SCRIPT_REQUIRE_H
#define HERALD_SCRIPT_REQUIRE_H

#include <lua.h>

/* RAISES only for want of memory: makes the table of modules. */
void require_open(lua_State *L);

/* Gives every file this module, which is on top of the stack and popped. */
void require_provide(lua_State *L, const char *name);

/* Pushes a fresh environment (sandbox.h) with a `require` for files whose names begin with
 * `prefix` ("" or "learning/"). `chain` names the modules whose loading led to this file
 * ("lib.a -> lib.b", or ""). RAISES only for want of memory. */
void require_push_env(lua_State *L, const char *prefix, const char *chain);

#endif
