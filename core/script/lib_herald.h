/*
 * lib_herald - the module that rule files get from require "herald"
 *
 * Put together from C (retry, reject, now, env, null, json, log) and from the trusted
 * Lua of scripts/herald/rules.lua (route, subscribe, on, fanout, topic, direct, queue),
 * then made read-only.
 */
#ifndef HERALD_SCRIPT_LIB_HERALD_H
#define HERALD_SCRIPT_LIB_HERALD_H

#include <lua.h>

/* RAISES: for want of memory, or when our own Lua is broken. */
void lib_herald_open(lua_State *L);

#endif
