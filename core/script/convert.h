/*
 * convert - Lua values to SQL values and back, herald.null, and numbers that Lua has not
 *
 *   Lua                       SQL
 *   nil, herald.null     ->   NULL       (NULL reads as nil: an absent field)
 *   integer             <->   integer    64 bits, exact
 *   float               <->   real
 *   true, false          ->   1, 0
 *   string               ->   text where it is UTF-8, else blob
 *   herald.blob(s)       ->   blob, whatever its bytes are
 *   string              <-    text, blob
 *   herald.number        ->   text, its digits
 *
 * A herald.number is what a number of JSON becomes that neither an integer of 64 bits nor a float
 * holds: a value that is its text, and is written as JSON as it was read.
 */
#ifndef HERALD_SCRIPT_CONVERT_H
#define HERALD_SCRIPT_CONVERT_H

#include "base/value.h"

#include <lua.h>
#include <stdbool.h>

/* RAISES only for want of memory: makes herald.null and the classes of herald.blob and of
 * herald.number. */
void convert_open(lua_State *L);

/* Pushes herald.null. Never raises. */
void convert_push_null(lua_State *L);
bool convert_is_null(lua_State *L, int index);

/* Puts a herald.number in the place of the string on top. RAISES only for want of memory. */
void convert_make_number(lua_State *L);
/* The text of a herald.number, lent by it. False: it is something else. Never raises. */
bool convert_number_text(lua_State *L, int index, struct slice *out);

/* Lua: herald.blob(s). RAISES. */
int convert_blob(lua_State *L);
/* Puts a herald.blob in the place of the string on top. RAISES only for want of memory. */
void convert_make_blob(lua_State *L);
/* The bytes of a herald.blob, lent by it. False: it is something else. Never raises. */
bool convert_blob_bytes(lua_State *L, int index, struct slice *out);

/* RAISES only for want of memory. */
void convert_push(lua_State *L, const struct value *v);

/* Bytes are lent by the value at `index`. False: no SQL value can hold it. Never raises. */
bool convert_to_value(lua_State *L, int index, struct value *out);

/* A string, or an integer as decimal text, put in place at `index`, or a herald.number's text;
 * absent for nil and herald.null. False: it is something else. RAISES only for want of memory. */
bool convert_to_key(lua_State *L, int index, struct slice *out);

/* Pushes the slice as a string, or nil for an absent one. RAISES for want of memory. */
void convert_push_slice(lua_State *L, struct slice s);

/* Sets a field of the table on top; no field for an absent slice. RAISE for want of memory. */
void convert_set_slice(lua_State *L, const char *name, struct slice s);
void convert_set_integer(lua_State *L, const char *name, int64_t n);

#endif
