/*
 * verdict - herald.retry and herald.reject, as errors that C knows again
 *
 * A verdict is a userdata of our own class that is raised like any error: a script's
 * pcall may catch it, look at its text and raise it again.
 */
#ifndef HERALD_SCRIPT_VERDICT_H
#define HERALD_SCRIPT_VERDICT_H

#include "script/script_types.h"

#include <lua.h>

/* RAISES only for want of memory: makes the class. */
void verdict_open(lua_State *L);

/* Lua: herald.retry([delay [, why]]), herald.reject([why]). RAISES always. */
int verdict_retry(lua_State *L);
int verdict_reject(lua_State *L);

/* True when the value is a verdict: fills verdict and delay of `out` and pushes the text.
 * RAISES only for want of memory. */
bool verdict_read(lua_State *L, int index, struct script_outcome *out);

#endif
