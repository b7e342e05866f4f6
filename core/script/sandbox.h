/*
 * sandbox - what a rule file can see
 *
 * Every file has an environment of its own: a global that it assigns is that file's.
 * Behind it lie the allowed functions and libraries, which are the same read-only
 * tables for all files. The limits guard against mistakes; rules are the operator's
 * code.
 */
#ifndef HERALD_SCRIPT_SANDBOX_H
#define HERALD_SCRIPT_SANDBOX_H

#include <lua.h>
#include <stdbool.h>

/* RAISES only for want of memory: opens the libraries into the state's globals, which
 * our own chunks use, and prepares what files see of them. `print` is a C function. */
void sandbox_open(lua_State *L, lua_CFunction print);

/* Replaces the table on top of the stack by a read-only view; `what` is for the error
 * ("herald.json"). RAISES only for want of memory. */
void sandbox_lock(lua_State *L, const char *what);

/* Pushes a fresh environment, without require (require_push_env). Globals can be made in it
 * while the rules are loaded, not by handlers. RAISES only for want of memory. */
void sandbox_push_env(lua_State *L);

/* True for "string", "table" and the other libraries that are there without require. */
bool sandbox_is_library(const char *name);

#endif
