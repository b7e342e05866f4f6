/* lib_emit - see lib_emit.h. The message's slices are lent by strings on the stack and
 * by the encoder's buffer, for as long as the host needs them. */
#include "script/lib_emit.h"

#include "base/properties.h"
#include "script/convert.h"
#include "script/suggest.h"

#include <lauxlib.h>
#include <string.h>

enum { SPEC = 2, SHORT_MAX = 255 };

static const char *const known[] = {
    "at",      "body", "business_key1", "business_key2", "business_key3", "delay",
    "headers", "key",  "message_id",    "order_type",    "properties",    "type",
};

bool lib_emit_knows(struct slice name)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (slice_is(name, known[i]))
            return true;
    return false;
}

static void check_keys(lua_State *L)
{
    const size_t n = sizeof known / sizeof known[0];

    lua_pushnil(L);
    while (lua_next(L, SPEC)) {
        const char *name;

        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING)
            luaL_error(L, "tx:emit takes a table of named fields; a key is a %s",
                       luaL_typename(L, -1));
        name = lua_tostring(L, -1);
        if (lib_emit_knows(slice_of(name)))
            continue;
        if (properties_know(slice_of(name)))
            luaL_error(L,
                       "unknown key '%s' in tx:emit: it is one of the properties: properties = "
                       "{ %s = ... }",
                       name, name);
        suggest_push(L, name, known, n);
        luaL_error(L, "unknown key '%s' in tx:emit%s", name, lua_tostring(L, -1));
    }
}

/* Pushes the field and reads it as text. `max` 0: any length. */
static struct slice take_text(lua_State *L, const char *name, size_t max)
{
    struct slice s;

    lua_getfield(L, SPEC, name);
    if (!convert_to_key(L, lua_gettop(L), &s))
        luaL_error(L, "tx:emit: %s is a %s, not a string or an integer", name,
                   luaL_typename(L, -1));
    if (s.data != NULL && !text_is_utf8(s.data, s.len))
        luaL_error(L, "tx:emit: %s is not UTF-8 text", name);
    if (max > 0 && s.len > max)
        luaL_error(L, "tx:emit: %s is longer than %d bytes", name, (int)max);
    return s;
}

static void check_header(lua_State *L)
{
    struct slice number;
    size_t len = 0;
    int type = lua_type(L, -1);

    if (lua_type(L, -2) != LUA_TSTRING)
        luaL_error(L, "tx:emit: headers are named; a key is a %s", luaL_typename(L, -2));
    lua_tolstring(L, -2, &len);
    if (len == 0 || len > SHORT_MAX)
        luaL_error(L, "tx:emit: a header's name has 1 to %d bytes", SHORT_MAX);
    if (type != LUA_TSTRING && type != LUA_TBOOLEAN && type != LUA_TNUMBER && type != LUA_TTABLE &&
        !convert_is_null(L, -1) && !convert_number_text(L, -1, &number))
        luaL_error(L,
                   "tx:emit: headers.%s is a %s: strings, numbers, booleans, herald.null and "
                   "tables of them travel",
                   lua_tostring(L, -2), luaL_typename(L, -1));
}

/* Pushes the JSON of the headers, if there are any. */
static struct slice take_headers(lua_State *L, struct script *s)
{
    struct slice text = {NULL, 0};
    bool any = false;

    lua_getfield(L, SPEC, "headers");
    if (lua_isnil(L, -1) || convert_is_null(L, -1))
        return text;
    if (lua_type(L, -1) != LUA_TTABLE)
        luaL_error(L, "tx:emit: headers is a %s, not a table", luaL_typename(L, -1));
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        check_header(L);
        any = true;
        lua_pop(L, 1);
    }
    if (!any)
        return text;
    encode_json(L, &s->encoder, -1, "headers");
    text.data = lua_pushlstring(L, s->encoder.out.data, s->encoder.out.len);
    text.len = s->encoder.out.len;
    return text;
}

/* Pushes the JSON of the properties, which were read as the one who sends them reads them. */
static struct slice take_properties(lua_State *L, struct script *s)
{
    struct slice text = {NULL, 0};
    struct properties p;
    struct err err;
    int rc;

    lua_getfield(L, SPEC, "properties");
    if (lua_isnil(L, -1) || convert_is_null(L, -1))
        return text;
    if (lua_type(L, -1) != LUA_TTABLE)
        luaL_error(L, "tx:emit: properties is a %s, not a table", luaL_typename(L, -1));
    lua_pushnil(L);
    if (!lua_next(L, -2))
        return text;
    lua_pop(L, 2);
    encode_json(L, &s->encoder, -1, "properties");
    properties_init(&p);
    rc = properties_read(&p, (struct slice){s->encoder.out.data, s->encoder.out.len}, &err);
    properties_free(&p);
    if (rc != OK)
        luaL_error(L, "tx:emit: %s", err.text);
    text.data = lua_pushlstring(L, s->encoder.out.data, s->encoder.out.len);
    text.len = s->encoder.out.len;
    return text;
}

static struct slice take_body(lua_State *L, struct script *s)
{
    struct slice body = {NULL, 0};

    lua_getfield(L, SPEC, "body");
    if (lua_isnil(L, -1) || convert_is_null(L, -1))
        return body;
    if (lua_type(L, -1) == LUA_TSTRING) {
        body.data = lua_tolstring(L, -1, &body.len);
        if (body.len > MESSAGE_BODY_MAX)
            luaL_error(L, "tx:emit: the body is over the limit of %d bytes", MESSAGE_BODY_MAX);
        return body;
    }
    if (lua_type(L, -1) != LUA_TTABLE)
        luaL_error(L, "tx:emit: body is a %s, not a table (written as JSON) or a string",
                   luaL_typename(L, -1));
    encode_json(L, &s->encoder, -1, "body");
    return (struct slice){s->encoder.out.data, s->encoder.out.len};
}

/* Two names of one thing. */
static struct slice take_order_type(lua_State *L)
{
    struct slice key = take_text(L, "business_key2", 0), order = take_text(L, "order_type", 0);

    if (key.data != NULL && order.data != NULL && !slice_equal(key, order))
        luaL_error(L, "tx:emit: order_type and business_key2 are two names of one thing, and "
                      "differ here");
    return order.data ? order : key;
}

/* Pushes one value. */
static int64_t take_at(lua_State *L)
{
    struct slice s = {NULL, 0};
    int64_t at = 0;

    lua_getfield(L, SPEC, "at");
    if (lua_isnil(L, -1))
        return 0;
    if (lua_isinteger(L, -1)) {
        at = lua_tointeger(L, -1);
        if (at > 0 && at < TEXT_TIME_MS_MIN)
            luaL_error(L,
                       "tx:emit: at is %I, which is a time in seconds: it takes milliseconds "
                       "since 1970 (times 1000), or a text such as \"2026-01-31T12:00:00Z\"",
                       (LUAI_UACINT)at);
        if (at <= 0 || at > TEXT_TIME_MAX)
            luaL_error(L, "tx:emit: at is in ms since 1970, above 0 and before the year 10000");
        return at;
    }
    if (lua_type(L, -1) == LUA_TSTRING)
        s.data = lua_tolstring(L, -1, &s.len);
    if (s.data == NULL || text_utc_ms(s, &at) != OK)
        luaL_error(L, "tx:emit: at is ms since 1970 or a time such as \"2026-01-31T12:00:00Z\" or "
                      "\"2026-01-31T20:00:00.000+08:00\"");
    return at > 0 ? at : 1;
}

/* Pushes two values. */
static int64_t take_due(lua_State *L, const struct script_host *host)
{
    int64_t at = take_at(L), ms = 0;
    struct slice s = {NULL, 0};

    lua_getfield(L, SPEC, "delay");
    if (lua_isnil(L, -1))
        return at;
    if (at > 0)
        luaL_error(L, "tx:emit: delay and at exclude each other");
    if (lua_type(L, -1) == LUA_TSTRING)
        s.data = lua_tolstring(L, -1, &s.len);
    if (s.data == NULL || text_duration_ms(s, &ms) != OK)
        luaL_error(L, "tx:emit: delay is a whole number with ms, s, m, h or d, such as \"15m\", "
                      "of 100 years at most");
    return ms > 0 ? host->now_ms(host->arg) + ms : 0;
}

/* The body comes last: the encoder's buffer is used for the headers too. */
static struct script_emit take_message(lua_State *L, struct script *s)
{
    struct script_emit emit = {.message = {.timestamp_s = 0}};
    struct message *m = &emit.message;

    m->type = take_text(L, "type", SHORT_MAX);
    if (m->type.data == NULL || m->type.len == 0)
        luaL_error(L, "tx:emit needs a type, such as type = \"course_enrolled\"");
    m->key[0] = take_text(L, "business_key1", 0);
    m->key[1] = take_order_type(L);
    m->key[2] = take_text(L, "business_key3", 0);
    m->id = take_text(L, "message_id", SHORT_MAX);
    emit.due_at = take_due(L, s->settings.host);
    emit.key = take_text(L, "key", SHORT_MAX);
    if (emit.key.data != NULL && emit.key.len == 0)
        luaL_error(L, "tx:emit: key is empty; it has 1 to %d bytes", SHORT_MAX);
    m->headers = take_headers(L, s);
    m->properties = take_properties(L, s);
    m->body = take_body(L, s);
    return emit;
}

int lib_emit(lua_State *L, struct script *s)
{
    const struct script_host *host = s->settings.host;
    struct script_emit emit;
    struct err err;
    int64_t id = 0;

    luaL_checktype(L, SPEC, LUA_TTABLE);
    lua_settop(L, SPEC);
    check_keys(L);
    emit = take_message(L, s);
    if (host->emit(host->arg, &emit, &id, &err) != OK) {
        if (err.code == ERR_TX_LOST || err_is_environment(err.code))
            state_end(L, &err);
        return luaL_error(L, "tx:emit: %s", err.text);
    }
    lua_pushinteger(L, id);
    return 1;
}
