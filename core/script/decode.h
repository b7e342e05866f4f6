/*
 * decode - JSON text to Lua values
 *
 * Two phases, because the parser's memory would be lost if Lua raised an error through it: the
 * text becomes a tape in a buffer that the script owns (base/json), then its tokens become Lua
 * values. Tables are made in their final size.
 *
 *   integer                  integer where 64 bits hold it, else a herald.number (convert.h)
 *   number with . or e       float; a herald.number where that would be infinite, or 0 only
 *                            because the number is too small
 *   null                     herald.null
 *   array, object            table; an array is marked, so that [] stays []
 */
#ifndef HERALD_SCRIPT_DECODE_H
#define HERALD_SCRIPT_DECODE_H

#include "base/buf.h"
#include "base/text.h"

#include <lua.h>

/* RAISES only for want of memory: makes the mark of arrays. */
void decode_open(lua_State *L);

/* Pushes the metatable that marks an array. Never raises. */
void decode_push_array_mark(lua_State *L);

/* Pushes the value. `tape` is working memory, owned by the script. RAISES: "what: bad
 * JSON at byte ...", or for want of memory. */
void decode_json(lua_State *L, struct buf *tape, struct slice text, const char *what);

/* The same of headers and properties: {"base64": "..."} is a byte array, a herald.blob. */
void decode_headers(lua_State *L, struct buf *tape, struct slice text, const char *what);

#endif
