/*
 * protect - the one door into Lua
 *
 * Nothing else in core/ calls lua_pcall or lua_resume. What runs behind the door may
 * raise and must own nothing that needs freeing; what calls it is told in codes and
 * words, and finds the stack as it was.
 */
#ifndef HERALD_SCRIPT_PROTECT_H
#define HERALD_SCRIPT_PROTECT_H

#include "script/state.h"

/* Runs fn(L) with `arg` as light userdata at index 1. Returns OK; ERR_NOMEM: the state
 * is out of memory; ERR_SCRIPT: a script's error, with out->verdict telling a plain one
 * from herald.retry and herald.reject; or the code of what ended the call, ERR_LIMIT
 * for its time, even when fn returned. Fills out->error, ->traceback and ->delay_ms. */
int protect(struct state *st, lua_CFunction fn, void *arg, struct script_outcome *out);

/* True for "rules/enrol.lua:12: ...". */
bool protect_has_place(const char *text);

/* Puts "rules/enrol.lua:12" and a colon before words in a buffer of `size` bytes; what does not
 * fit is cut off at a whole character. */
void protect_put_place(char *text, size_t size, const char *place);

#endif
