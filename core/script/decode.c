/* decode - see decode.h.
 *
 * Tokens: one byte of kind, then
 *   INT           8 bytes
 *   REAL          8 bytes
 *   STRING, KEY, NUMBER
 *                 4 bytes of length, the text
 *   ARRAY, OBJECT 4 bytes: how many items or members, filled in at the END
 */
#include "script/decode.h"

#include "base/json.h"
#include "base/message.h"
#include "script/convert.h"
#include "script/state.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS_KEPT = 1024 * 1024 };

enum token {
    T_NULL,
    T_TRUE,
    T_FALSE,
    T_INT,
    T_REAL,
    T_STRING,
    T_NUMBER,
    T_KEY,
    T_ARRAY,
    T_OBJECT,
    T_END
};

/* Its address is the key of the arrays' mark in the registry. */
static const char array_key = 0;

struct writer {
    struct buf *tokens;
    size_t depth;
    struct {
        size_t at;      /* offset of the count in `tokens` */
        uint32_t count; /* items, or members, so far */
    } open[JSON_DEPTH_MAX];
};

struct reader {
    const char *at; /* the next token */
};

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

/* --- phase one: no Lua call in here --------------------------------------------- */

static bool put(struct writer *w, enum token kind, const void *bytes, size_t n)
{
    char tag = (char)kind;

    buf_append(w->tokens, &tag, 1);
    return buf_append(w->tokens, bytes, n) == OK && !w->tokens->failed;
}

static bool put_item(struct writer *w, enum token kind, const void *bytes, size_t n)
{
    if (w->depth > 0)
        w->open[w->depth - 1].count++;
    return put(w, kind, bytes, n);
}

static bool put_text(struct writer *w, enum token kind, const char *text, size_t len)
{
    uint32_t n = (uint32_t)len; /* the text's length was checked before the parse */

    return put(w, kind, &n, sizeof n) && buf_append(w->tokens, text, len) == OK;
}

static bool on_null(void *arg)
{
    return put_item(arg, T_NULL, NULL, 0);
}

static bool on_boolean(void *arg, bool value)
{
    return put_item(arg, value ? T_TRUE : T_FALSE, NULL, 0);
}

static bool put_item_text(struct writer *w, enum token kind, const char *text, size_t len)
{
    if (w->depth > 0)
        w->open[w->depth - 1].count++;
    return put_text(w, kind, text, len);
}

static bool on_string(void *arg, const char *text, size_t len)
{
    return put_item_text(arg, T_STRING, text, len);
}

/* The members of an object are counted by their values. */
static bool on_key(void *arg, const char *text, size_t len)
{
    return put_text(arg, T_KEY, text, len);
}

static bool fits_int64(const char *text, size_t len, int64_t *out)
{
    bool negative = len > 0 && text[0] == '-';
    uint64_t limit = negative ? UINT64_C(1) << 63 : (uint64_t)INT64_MAX, value = 0;

    for (size_t i = negative; i < len; i++) {
        unsigned digit = (unsigned)(text[i] - '0');

        if (digit > 9 || value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = (int64_t)(negative ? 0 - value : value);
    return true;
}

/* A number whose digits are all 0. */
static bool is_zero(const char *text)
{
    size_t digits = strcspn(text, "eE");

    return strcspn(text, "123456789") >= digits;
}

/* strtod wants a NUL, which yajl's text has not; the buffer's free end lends the room. */
static bool put_real(struct writer *w, const char *text, size_t len)
{
    char *copy = buf_reserve(w->tokens, len + 1);
    double value;

    if (copy == NULL)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    value = strtod(copy, NULL);
    if (!isfinite(value) || (value == 0 && !is_zero(copy)))
        return put_item_text(w, T_NUMBER, text, len);
    return put_item(w, T_REAL, &value, sizeof value);
}

static bool on_number(void *arg, const char *text, size_t len)
{
    int64_t value;

    for (size_t i = 0; i < len; i++)
        if (text[i] == '.' || text[i] == 'e' || text[i] == 'E')
            return put_real(arg, text, len);
    if (fits_int64(text, len, &value))
        return put_item(arg, T_INT, &value, sizeof value);
    return put_item_text(arg, T_NUMBER, text, len);
}

static bool on_begin(void *arg, bool array)
{
    struct writer *w = arg;
    uint32_t none = 0;

    if (!put_item(w, array ? T_ARRAY : T_OBJECT, &none, sizeof none))
        return false;
    w->open[w->depth].at = w->tokens->len - sizeof none;
    w->open[w->depth].count = 0;
    w->depth++;
    return true;
}

static bool on_end(void *arg, bool array)
{
    struct writer *w = arg;

    (void)array;
    w->depth--;
    memcpy(w->tokens->data + w->open[w->depth].at, &w->open[w->depth].count, sizeof(uint32_t));
    return put(w, T_END, NULL, 0);
}

static const struct json_events events = {
    .null = on_null,
    .boolean = on_boolean,
    .number = on_number,
    .string = on_string,
    .key = on_key,
    .begin = on_begin,
    .end = on_end,
};

/* --- phase two: may raise, owns nothing ------------------------------------------ */

static void build(lua_State *L, struct reader *r);

static enum token next(struct reader *r)
{
    return (enum token)(*r->at++);
}

static void take(struct reader *r, void *out, size_t n)
{
    memcpy(out, r->at, n);
    r->at += n;
}

static void push_text(lua_State *L, struct reader *r)
{
    uint32_t len;

    take(r, &len, sizeof len);
    lua_pushlstring(L, r->at, len);
    r->at += len;
}

static void push_array(lua_State *L, struct reader *r)
{
    uint32_t count;

    take(r, &count, sizeof count);
    lua_createtable(L, (int)count, 0);
    decode_push_array_mark(L);
    lua_setmetatable(L, -2);
    for (lua_Integer i = 1; i <= (lua_Integer)count; i++) {
        build(L, r);
        lua_rawseti(L, -2, i);
    }
    r->at++; /* the END */
}

static void push_object(lua_State *L, struct reader *r)
{
    uint32_t count;

    take(r, &count, sizeof count);
    lua_createtable(L, 0, (int)count);
    for (uint32_t i = 0; i < count; i++) {
        r->at++; /* the KEY */
        push_text(L, r);
        build(L, r);
        lua_rawset(L, -3);
    }
    r->at++;
}

static void build(lua_State *L, struct reader *r)
{
    int64_t integer;
    double real;

    luaL_checkstack(L, 4, "JSON is nested too deeply");
    switch (next(r)) {
    case T_NULL:
        convert_push_null(L);
        return;
    case T_TRUE:
        lua_pushboolean(L, 1);
        return;
    case T_FALSE:
        lua_pushboolean(L, 0);
        return;
    case T_INT:
        take(r, &integer, sizeof integer);
        lua_pushinteger(L, integer);
        return;
    case T_REAL:
        take(r, &real, sizeof real);
        lua_pushnumber(L, real);
        return;
    case T_STRING:
        push_text(L, r);
        return;
    case T_NUMBER:
        push_text(L, r);
        convert_make_number(L);
        return;
    case T_ARRAY:
        push_array(L, r);
        return;
    case T_OBJECT:
        push_object(L, r);
        return;
    case T_KEY:
    case T_END:
        break;
    }
    err_bug("a token out of place", __FILE__, __LINE__);
}

/* Memory that one big body needed is not kept for ever. */
static void empty(struct buf *tokens)
{
    if (tokens->cap > TOKENS_KEPT)
        buf_free(tokens);
    buf_clear(tokens);
}

static void parse(lua_State *L, struct buf *tokens, struct slice text, const char *what)
{
    struct writer w = {.tokens = tokens};
    struct err err;
    int rc = ERR_LIMIT;

    empty(tokens);
    if (text.len <= MESSAGE_BODY_MAX)
        rc = json_parse(text.data ? text.data : "", text.len, &events, &w, &err);
    if (rc == OK)
        return;
    if (rc == ERR_NOMEM || (rc == ERR_FAILED && tokens->failed)) {
        err_set(&err, ERR_NOMEM, "out of memory while reading JSON");
        state_end(L, &err);
    }
    if (rc == ERR_LIMIT)
        luaL_error(L, "%s: over the limit of %d bytes", what, MESSAGE_BODY_MAX);
    luaL_error(L, "%s: %s", what, err.text);
}

void decode_json(lua_State *L, struct buf *tokens, struct slice text, const char *what)
{
    struct reader r;

    parse(L, tokens, text, what);
    r.at = tokens->data;
    build(L, &r);
}
