/* lib_emit - see lib_emit.h. The message's slices are lent by strings on the stack and
 * by the encoder's buffer, for as long as the host needs them. */
#include "script/lib_emit.h"

#include "base/json.h"
#include "base/properties.h"
#include "script/convert.h"
#include "script/suggest.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <string.h>

enum { SPEC = 2, CALL, SHORT_MAX = 255 }; /* CALL: the name of what was called */

/* RAISES. The format is of lua_pushvfstring. */
static int wrong(lua_State *L, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    lua_pushvfstring(L, format, args);
    va_end(args);
    return luaL_error(L, "%s: %s", lua_tostring(L, CALL), lua_tostring(L, -1));
}

static const char *const known[] = {
    "app_id",
    "at",
    "body",
    "business_key1",
    "business_key2",
    "business_key3",
    "content_encoding",
    "content_type",
    "correlation_id",
    "delay",
    "delivery_mode",
    "expiration",
    "headers",
    "key",
    "message_id",
    "order_type",
    "priority",
    "properties",
    "reply_to",
    "type",
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
        wrong(L, "%s is a %s, not a string or an integer", name, luaL_typename(L, -1));
    if (s.data != NULL && !text_is_utf8(s.data, s.len))
        wrong(L, "%s is not UTF-8 text", name);
    if (max > 0 && s.len > max)
        wrong(L, "%s is longer than %d bytes", name, (int)max);
    return s;
}

static void check_header(lua_State *L)
{
    struct slice held;
    size_t len = 0;
    int type = lua_type(L, -1);

    if (lua_type(L, -2) != LUA_TSTRING)
        wrong(L, "headers are named; a key is a %s", luaL_typename(L, -2));
    lua_tolstring(L, -2, &len);
    if (len == 0 || len > SHORT_MAX)
        wrong(L, "a header's name has 1 to %d bytes", SHORT_MAX);
    if (type != LUA_TSTRING && type != LUA_TBOOLEAN && type != LUA_TNUMBER && type != LUA_TTABLE &&
        !convert_is_null(L, -1) && !convert_number_text(L, -1, &held) &&
        !convert_blob_bytes(L, -1, &held))
        luaL_error(L,
                   "tx:emit: headers.%s is a %s: strings, numbers, booleans, herald.blob, "
                   "herald.null and tables of them travel",
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
        wrong(L, "headers is a %s, not a table", luaL_typename(L, -1));
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        check_header(L);
        any = true;
        lua_pop(L, 1);
    }
    if (!any)
        return text;
    encode_headers(L, &s->encoder, -1, "headers");
    text.data = lua_pushlstring(L, s->encoder.out.data, s->encoder.out.len);
    text.len = s->encoder.out.len;
    return text;
}

/* Puts the fields of the table at `from` into the one on top. */
static void copy_fields(lua_State *L, int from)
{
    int to = lua_gettop(L);

    lua_pushnil(L);
    while (lua_next(L, from)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, to);
    }
}

/* Pushes a table of the properties: fields of their names, and those of `properties`. */
static void push_properties(lua_State *L)
{
    int given = lua_gettop(L) + 1;
    const char *name;

    lua_getfield(L, SPEC, "properties");
    if (!lua_isnil(L, given) && !convert_is_null(L, given) && !lua_istable(L, given))
        wrong(L, "properties is a %s, not a table", luaL_typename(L, given));
    lua_newtable(L);
    if (lua_istable(L, given))
        copy_fields(L, given);
    for (int i = 0; (name = properties_name(i)) != NULL; i++) {
        if (lua_getfield(L, SPEC, name) == LUA_TNIL) {
            lua_pop(L, 1);
            continue;
        }
        if (lua_getfield(L, -2, name) != LUA_TNIL)
            wrong(L, "%s is given twice, as a field and in properties", name);
        lua_pop(L, 1);
        lua_setfield(L, -2, name);
    }
    lua_remove(L, given);
}

/* Pushes the JSON of the properties, which were read as the one who sends them reads them. */
static struct slice take_properties(lua_State *L, struct script *s)
{
    struct slice text = {NULL, 0};
    struct properties p;
    struct err err;
    int rc;

    push_properties(L);
    lua_pushnil(L);
    if (!lua_next(L, -2))
        return text;
    lua_pop(L, 2);
    encode_json(L, &s->encoder, -1, "properties");
    properties_init(&p);
    rc = properties_read(&p, (struct slice){s->encoder.out.data, s->encoder.out.len}, &err);
    properties_free(&p);
    if (rc != OK)
        wrong(L, "%s", err.text);
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
            wrong(L, "the body is over the limit of %d bytes", MESSAGE_BODY_MAX);
        return body;
    }
    if (lua_type(L, -1) != LUA_TTABLE)
        wrong(L, "body is a %s, not a table (written as JSON) or a string", luaL_typename(L, -1));
    encode_json(L, &s->encoder, -1, "body");
    return (struct slice){s->encoder.out.data, s->encoder.out.len};
}

/* Two names of one thing. */
static struct slice take_order_type(lua_State *L)
{
    struct slice key = take_text(L, "business_key2", 0), order = take_text(L, "order_type", 0);

    if (key.data != NULL && order.data != NULL && !slice_equal(key, order))
        wrong(L, "order_type and business_key2 are two names of one thing, and "
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
            wrong(L,
                  "at is %I, which is a time in seconds: it takes milliseconds "
                  "since 1970 (times 1000), or a text such as \"2026-01-31T12:00:00Z\"",
                  (LUAI_UACINT)at);
        if (at <= 0 || at > TEXT_TIME_MAX)
            wrong(L, "at is in ms since 1970, above 0 and before the year 10000");
        return at;
    }
    if (lua_type(L, -1) == LUA_TSTRING)
        s.data = lua_tolstring(L, -1, &s.len);
    if (s.data == NULL || text_utc_ms(s, &at) != OK)
        wrong(L, "at is ms since 1970 or a time such as \"2026-01-31T12:00:00Z\" or "
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
        wrong(L, "delay and at exclude each other");
    if (lua_type(L, -1) == LUA_TSTRING)
        s.data = lua_tolstring(L, -1, &s.len);
    if (s.data == NULL || text_duration_ms(s, &ms) != OK)
        wrong(L, "delay is a whole number with ms, s, m, h or d, such as \"15m\", "
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
        wrong(L, "key is empty; it has 1 to %d bytes", SHORT_MAX);
    m->headers = take_headers(L, s);
    m->properties = take_properties(L, s);
    m->body = take_body(L, s);
    return emit;
}

static int add(lua_State *L, struct script *s, const struct script_emit *emit)
{
    const struct script_host *host = s->settings.host;
    struct err err;
    int64_t id = 0;

    if (host->emit(host->arg, emit, &id, &err) != OK) {
        if (err.code == ERR_TX_LOST || err_is_environment(err.code))
            state_end(L, &err);
        return wrong(L, "%s", err.text);
    }
    lua_pushinteger(L, id);
    return 1;
}

int lib_emit(lua_State *L, struct script *s)
{
    struct script_emit emit;

    luaL_checktype(L, SPEC, LUA_TTABLE);
    lua_settop(L, SPEC);
    lua_pushliteral(L, "tx:emit");
    check_keys(L);
    emit = take_message(L, s);
    return add(L, s, &emit);
}

enum { OPTIONS = 3, COPY, ANSWER };

/* Pushes a text of the request's properties, or nil where there is none. */
static struct slice push_asked(lua_State *L, const struct json *j, const char *name)
{
    const struct json_token *t = json_member(j, j->tape, name);
    struct slice text = {NULL, 0};

    if (t == NULL) {
        lua_pushnil(L);
        return text;
    }
    if (t->kind != JSON_STRING)
        wrong(L, "the message's %s is not UTF-8 text", name);
    text = json_text(j, t);
    lua_pushlstring(L, text.data, text.len);
    text.data = lua_tostring(L, -1);
    return text;
}

/* What a request says about its answer. */
struct request {
    struct slice reply_to; /* lent by the stack, as the next one */
    struct slice correlation_id;
    int64_t expires_ms; /* after that time nobody waits for the answer; -1: it does not say */
};

/* Pushes what it gives. */
static struct request take_request(lua_State *L, struct script *s)
{
    const struct message *m = s->call.message->message;
    struct request r = {.expires_ms = -1};
    struct slice expiration;
    struct json j;
    struct err err;

    if (m->properties.data != NULL) {
        if (json_parse(&j, &s->tape, m->properties.data, m->properties.len, &err) != OK)
            wrong(L, "the message's properties: %s", err.text);
        r.reply_to = push_asked(L, &j, "reply_to");
        r.correlation_id = push_asked(L, &j, "correlation_id");
        expiration = push_asked(L, &j, "expiration");
        if (expiration.data == NULL || !json_integer(expiration, &r.expires_ms) ||
            r.expires_ms > PROPERTY_EXPIRATION_MAX)
            r.expires_ms = -1;
    }
    if (r.reply_to.len == 0)
        wrong(L, "the message has no reply_to: whoever sent it waits for no answer");
    if (r.reply_to.len > SHORT_MAX || memchr(r.reply_to.data, '\0', r.reply_to.len) != NULL)
        wrong(L, "the message's reply_to is no name of a queue");
    return r;
}

static const char *const reply_known[] = {
    "app_id",  "content_encoding", "content_type", "delivery_mode", "expiration", "format",
    "headers", "priority",         "properties",   "reply_to",      "type"};

static void check_reply_keys(lua_State *L)
{
    const size_t n = sizeof reply_known / sizeof reply_known[0];

    lua_pushnil(L);
    while (lua_next(L, OPTIONS)) {
        const char *name = luaL_tolstring(L, -2, NULL);
        bool there = properties_know(slice_of(name));

        for (size_t i = 0; i < n; i++)
            there = there || strcmp(name, reply_known[i]) == 0;
        if (!there) {
            suggest_push(L, name, reply_known, n);
            luaL_error(L, "unknown key '%s' in the options of tx:reply%s", name,
                       lua_tostring(L, -1));
        }
        lua_pop(L, 2);
    }
}

/* Of the options, which say nothing of it. */
static void add_correlation_id(lua_State *L, struct slice id)
{
    push_properties(L);
    if (lua_getfield(L, -1, "correlation_id") != LUA_TNIL)
        wrong(L, "the correlation_id is that of the message: leave it out");
    lua_pop(L, 2);
    convert_push_slice(L, id);
    lua_setfield(L, SPEC, "correlation_id");
}

/* What a client of NestJS takes for its answer, in the place of the body. */
static void wrap_answer(lua_State *L, struct slice correlation_id)
{
    const char *format;

    if (lua_getfield(L, SPEC, "format") == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    format = luaL_tolstring(L, -1, NULL);
    if (strcmp(format, "nestjs") != 0)
        wrong(L, "format is %s, not \"nestjs\": others take the answer as it is", format);
    lua_createtable(L, 0, 3);
    lua_pushvalue(L, ANSWER);
    lua_setfield(L, -2, "response");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "isDisposed");
    convert_set_slice(L, "id", correlation_id);
    lua_replace(L, ANSWER);
    lua_pop(L, 2);
}

/* Pushes nothing: the body is at `index`. */
static struct slice take_answer(lua_State *L, struct script *s, int index)
{
    struct slice body;

    if (lua_type(L, index) != LUA_TSTRING) {
        encode_json(L, &s->encoder, index, "body");
        return (struct slice){s->encoder.out.data, s->encoder.out.len};
    }
    body.data = lua_tolstring(L, index, &body.len);
    if (body.len > MESSAGE_BODY_MAX)
        wrong(L, "the body is over the limit of %d bytes", MESSAGE_BODY_MAX);
    return body;
}

/* From (tx, body, options) to a table like that of tx:emit at SPEC, and the body at ANSWER. */
static void arrange_reply(lua_State *L)
{
    lua_settop(L, OPTIONS);
    if (lua_isnil(L, 2))
        luaL_error(L, "tx:reply needs a body: a string goes as it is, anything else is written as "
                      "JSON");
    if (lua_isnil(L, OPTIONS)) {
        lua_newtable(L);
        lua_replace(L, OPTIONS);
    }
    luaL_checktype(L, OPTIONS, LUA_TTABLE);
    check_reply_keys(L);
    lua_newtable(L); /* what is added is not its author's */
    copy_fields(L, OPTIONS);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, COPY);
    lua_replace(L, SPEC);
    lua_pushliteral(L, "tx:reply");
    lua_replace(L, CALL);
}

int lib_reply(lua_State *L, struct script *s)
{
    const struct script_host *host = s->settings.host;
    struct script_emit emit = {.message = {.timestamp_s = 0}, .reply_until = INT64_MAX};
    struct request request;

    arrange_reply(L);
    request = take_request(L, s);
    add_correlation_id(L, request.correlation_id);
    wrap_answer(L, request.correlation_id);
    emit.message.type = take_text(L, "type", SHORT_MAX);
    if (emit.message.type.len == 0)
        emit.message.type = slice_of("reply");
    emit.reply_to = request.reply_to;
    if (request.expires_ms >= 0)
        emit.reply_until = host->now_ms(host->arg) + request.expires_ms;
    emit.message.headers = take_headers(L, s);
    emit.message.properties = take_properties(L, s);
    emit.message.body = take_answer(L, s, ANSWER);
    return add(L, s, &emit);
}
