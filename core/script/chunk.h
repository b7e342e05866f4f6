/*
 * chunk - a file as a Lua function
 */
#ifndef HERALD_SCRIPT_CHUNK_H
#define HERALD_SCRIPT_CHUNK_H

#include "script/sources.h"

#include <lua.h>

/* Pushes the file as a function, without an environment. RAISES what is no Lua. */
void chunk_push(lua_State *L, const struct source *f);

#endif
