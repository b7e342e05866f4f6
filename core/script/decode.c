/* decode - see decode.h. */
#include "script/decode.h"

#include "base/json_bytes.h"
#include "base/message.h"
#include "script/convert.h"
#include "script/state.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

/* The table, a key, a value, and what it takes to make that. */
enum { STACK_A_LEVEL = 8 };
#define TOO_DEEP "JSON is nested too deeply"

/* Its address is the key of the arrays' mark in the registry. */
static const char array_key = 0;

void decode_open(lua_State *L)
{
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, "herald.array");
    lua_setfield(L, -2, "__metatable");
    lua_pushliteral(L, "herald.array");
    lua_setfield(L, -2, "__name");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &array_key);
}

void decode_push_array_mark(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key);
}

/* A number whose digits are all 0. */
static bool is_zero(struct slice number)
{
    for (size_t i = 0; i < number.len && (number.data[i] | 0x20) != 'e'; i++)
        if (number.data[i] >= '1' && number.data[i] <= '9')
            return false;
    return true;
}

/* RAISES only for want of memory. */
static void push_as_text(lua_State *L, struct slice number)
{
    lua_pushlstring(L, number.data, number.len);
    convert_make_number(L);
}

static void push_integer(lua_State *L, struct slice text)
{
    int64_t value;

    if (json_integer(text, &value))
        lua_pushinteger(L, value);
    else
        push_as_text(L, text);
}

static void push_real(lua_State *L, struct slice text)
{
    double value = strtod(text.data, NULL);

    if (isfinite(value) && (value != 0 || is_zero(text)))
        lua_pushnumber(L, value);
    else
        push_as_text(L, text);
}

/* A text that was read. */
struct reading {
    struct json json;
    bool blobs; /* it may hold byte arrays */
};

static const struct json_token *push(lua_State *L, const struct reading *r,
                                     const struct json_token *t);

static void push_array(lua_State *L, const struct reading *r, const struct json_token *t)
{
    lua_Integer n = t->len;

    luaL_checkstack(L, STACK_A_LEVEL, TOO_DEEP);
    lua_createtable(L, (int)n, 0);
    decode_push_array_mark(L);
    lua_setmetatable(L, -2);
    t++;
    for (lua_Integer i = 1; i <= n; i++) {
        t = push(L, r, t);
        lua_rawseti(L, -2, i);
    }
}

static void push_object(lua_State *L, const struct reading *r, const struct json_token *t)
{
    uint32_t n = t->len;

    luaL_checkstack(L, STACK_A_LEVEL, TOO_DEEP);
    lua_createtable(L, 0, (int)n);
    t++;
    for (; n > 0; n--) {
        t = push(L, r, t); /* the key, a string */
        t = push(L, r, t);
        lua_rawset(L, -3);
    }
}

/* RAISES only for want of memory. */
static bool push_blob(lua_State *L, const struct json *j, const struct json_token *t)
{
    struct slice digits;
    luaL_Buffer b;

    if (!json_bytes(j, t, &digits))
        return false;
    luaL_checkstack(L, STACK_A_LEVEL, TOO_DEEP);
    json_bytes_get(digits, luaL_buffinitsize(L, &b, json_bytes_size(digits)));
    luaL_pushresultsize(&b, json_bytes_size(digits));
    convert_make_blob(L);
    return true;
}

/* Returns the next token. */
static const struct json_token *push(lua_State *L, const struct reading *r,
                                     const struct json_token *t)
{
    const struct json *j = &r->json;

    switch ((enum json_kind)t->kind) {
    case JSON_NULL:
        convert_push_null(L);
        break;
    case JSON_FALSE:
    case JSON_TRUE:
        lua_pushboolean(L, t->kind == JSON_TRUE);
        break;
    case JSON_INTEGER:
        push_integer(L, json_text(j, t));
        break;
    case JSON_REAL:
        push_real(L, json_text(j, t));
        break;
    case JSON_STRING:
        lua_pushlstring(L, json_text(j, t).data, t->len);
        break;
    case JSON_ARRAY:
        push_array(L, r, t);
        break;
    case JSON_OBJECT:
        if (!r->blobs || !push_blob(L, j, t))
            push_object(L, r, t);
        break;
    }
    return json_next(j, t);
}

static void parse(lua_State *L, struct json *j, struct buf *tape, struct slice text,
                  const char *what)
{
    struct err err;
    int rc;

    if (text.len > MESSAGE_BODY_MAX)
        luaL_error(L, "%s: over the limit of %d bytes", what, MESSAGE_BODY_MAX);
    rc = json_parse(j, tape, text.data ? text.data : "", text.len, &err);
    if (rc == ERR_NOMEM) {
        err_set(&err, ERR_NOMEM, "out of memory while reading JSON");
        state_end(L, &err);
    }
    if (rc != OK)
        luaL_error(L, "%s: %s", what, err.text);
}

static void decode(lua_State *L, struct buf *tape, struct slice text, const char *what, bool blobs)
{
    struct reading r = {.blobs = blobs};

    parse(L, &r.json, tape, text, what);
    luaL_checkstack(L, STACK_A_LEVEL, TOO_DEEP);
    if (r.json.tape->kind == JSON_OBJECT)
        push_object(L, &r, r.json.tape); /* never a byte array itself */
    else
        push(L, &r, r.json.tape);
}

void decode_json(lua_State *L, struct buf *tape, struct slice text, const char *what)
{
    decode(L, tape, text, what, false);
}

void decode_headers(lua_State *L, struct buf *tape, struct slice text, const char *what)
{
    decode(L, tape, text, what, true);
}
