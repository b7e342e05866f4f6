/*
 * suggest - words for a name that is not known
 *
 * The distance between words is computed by scripts/herald/nearest.lua, which the
 * settings use too.
 */
#ifndef HERALD_SCRIPT_SUGGEST_H
#define HERALD_SCRIPT_SUGGEST_H

#include <lua.h>
#include <stddef.h>

/* Takes the function of herald.nearest from the top of the stack. */
void suggest_open(lua_State *L);

/* Pushes ": did you mean 'body'?", or " (known: attempt, body, ...)". RAISES only for
 * want of memory. */
void suggest_push(lua_State *L, const char *name, const char *const *known, size_t n);

/* The same, but "" where nothing is near: for names that are too many to be listed. */
void suggest_push_nearest(lua_State *L, const char *name, const char *const *known, size_t n);

#endif
