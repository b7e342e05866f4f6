/* lib_msg - see lib_msg.h. */
#include "script/lib_msg.h"

#include "script/convert.h"
#include "script/decode.h"
#include "script/lent.h"
#include "script/suggest.h"

#include <lauxlib.h>

#define MSG_CLASS "herald.msg"

enum { BODY_VALUE = 1, HEADERS_VALUE, PROPERTIES_VALUE, USER_VALUES = PROPERTIES_VALUE };

enum field {
    ID,
    TYPE,
    ORDER_TYPE,
    KEY1,
    KEY2,
    KEY3,
    BODY,
    RAW,
    HEADERS,
    ATTEMPT,
    QUEUE,
    EXCHANGE,
    ROUTING_KEY,
    TIMESTAMP,
    REDELIVERED,
    CONTENT_TYPE,
    TRACE,
    /* what else AMQP says of a message: members of its properties */
    CONTENT_ENCODING,
    CORRELATION_ID,
    REPLY_TO,
    PRIORITY,
    EXPIRATION,
    APP_ID,
    USER_ID,
    FIELDS
};

static const char *const names[FIELDS] = {
    [ID] = "id",
    [TYPE] = "type",
    [ORDER_TYPE] = "order_type",
    [KEY1] = "business_key1",
    [KEY2] = "business_key2",
    [KEY3] = "business_key3",
    [BODY] = "body",
    [RAW] = "raw",
    [HEADERS] = "headers",
    [ATTEMPT] = "attempt",
    [QUEUE] = "queue",
    [EXCHANGE] = "exchange",
    [ROUTING_KEY] = "routing_key",
    [TIMESTAMP] = "timestamp",
    [REDELIVERED] = "redelivered",
    [CONTENT_TYPE] = "content_type",
    [TRACE] = "trace",
    [CONTENT_ENCODING] = "content_encoding",
    [CORRELATION_ID] = "correlation_id",
    [REPLY_TO] = "reply_to",
    [PRIORITY] = "priority",
    [EXPIRATION] = "expiration",
    [APP_ID] = "app_id",
    [USER_ID] = "user_id",
};

/* envelope = "raw" in herald.subscribe. */
static bool is_raw(const struct script_message *m)
{
    return m->subscription != NULL && m->subscription->envelope == ENVELOPE_RAW;
}

/* Both are decoded when first asked for, and kept with the message. */
static void push_body(lua_State *L, struct script *s, const struct message *m)
{
    if (is_raw(s->call.message)) {
        convert_push_slice(L, m->body);
        return;
    }
    if (lua_getiuservalue(L, 1, BODY_VALUE) != LUA_TNIL)
        return;
    if (m->body.data == NULL || !message_is_json(m))
        return; /* the nil is there */
    decode_json(L, &s->tape, message_text(m), "message body");
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, BODY_VALUE);
}

/* A header that is null is as one that is absent. */
void lib_msg_push_headers(lua_State *L, struct script *s, const struct message *m)
{
    if (m->headers.data == NULL) {
        lua_newtable(L);
        return;
    }
    decode_headers(L, &s->tape, m->headers, "message headers");
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        if (convert_is_null(L, -1)) {
            lua_pushvalue(L, -2);
            lua_pushnil(L);
            lua_rawset(L, -5);
        }
        lua_pop(L, 1);
    }
}

static void push_headers(lua_State *L, struct script *s, const struct message *m)
{
    if (lua_getiuservalue(L, 1, HEADERS_VALUE) != LUA_TNIL)
        return;
    lib_msg_push_headers(L, s, m);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, HEADERS_VALUE);
}

/* Pushes a property by its AMQP name, or nil. */
static void push_property(lua_State *L, struct script *s, const struct message *m, const char *name)
{
    if (lua_getiuservalue(L, 1, PROPERTIES_VALUE) == LUA_TNIL && m->properties.data != NULL) {
        decode_headers(L, &s->tape, m->properties, "message properties");
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, PROPERTIES_VALUE);
    }
    if (lua_istable(L, -1))
        lua_getfield(L, -1, name);
}

static void push_timestamp(lua_State *L, const struct message *m)
{
    if (m->timestamp_s == 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, m->timestamp_s);
}

static void push_trace(lua_State *L, const struct trace_context *c)
{
    char parent[TRACE_PARENT_LEN + 1];

    if (c == NULL) {
        lua_pushnil(L);
        return;
    }
    trace_context_parent(c, parent);
    lua_createtable(L, 0, 5);
    convert_set_slice(L, "trace_id", slice_of(c->trace));
    convert_set_slice(L, "span_id", slice_of(c->span));
    convert_set_slice(L, "traceparent", slice_of(parent));
    if (c->state[0] != '\0')
        convert_set_slice(L, "tracestate", slice_of(c->state));
    lua_pushboolean(L, (c->flags & TRACE_SAMPLED) != 0);
    lua_setfield(L, -2, "sampled");
}

static void push_field(lua_State *L, struct script *s, enum field field)
{
    const struct script_message *sm = s->call.message;
    const struct message *m = sm->message;

    switch (field) {
    case ID:
        convert_push_slice(L, m->id);
        return;
    case TYPE:
        convert_push_slice(L, m->type);
        return;
    case KEY1:
        convert_push_slice(L, m->key[0]);
        return;
    case ORDER_TYPE:
    case KEY2:
        convert_push_slice(L, m->key[1]);
        return;
    case KEY3:
        convert_push_slice(L, m->key[2]);
        return;
    case BODY:
        push_body(L, s, m);
        return;
    case RAW:
        convert_push_slice(L, sm->raw.data != NULL ? sm->raw : m->body);
        return;
    case HEADERS:
        push_headers(L, s, m);
        return;
    case ATTEMPT:
        lua_pushinteger(L, sm->attempt);
        return;
    case QUEUE:
        convert_push_slice(L, sm->queue);
        return;
    case EXCHANGE:
        convert_push_slice(L, sm->exchange);
        return;
    case ROUTING_KEY:
        convert_push_slice(L, sm->routing_key);
        return;
    case TIMESTAMP:
        push_timestamp(L, m);
        return;
    case REDELIVERED:
        lua_pushboolean(L, sm->redelivered);
        return;
    case CONTENT_TYPE:
        convert_push_slice(L, sm->content_type);
        return;
    case TRACE:
        push_trace(L, sm->trace);
        return;
    default:
        push_property(L, s, m, names[field]);
        return;
    }
}

/* Upvalue 1: name to number. */
static int msg_index(lua_State *L)
{
    struct script *s = lent_check(L, 1, MSG_CLASS, "message");
    const char *name;

    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) {
        push_field(L, s, (enum field)lua_tointeger(L, -1));
        return 1;
    }
    name = luaL_tolstring(L, 2, NULL);
    suggest_push(L, name, names, FIELDS);
    return luaL_error(L, "a message has no field '%s'%s", name, lua_tostring(L, -1));
}

static int msg_newindex(lua_State *L)
{
    luaL_checkudata(L, 1, MSG_CLASS);
    return luaL_error(L, "a message is read-only");
}

static int msg_tostring(lua_State *L)
{
    const struct lent *l = luaL_checkudata(L, 1, MSG_CLASS);
    const struct script *s = script_of(L);

    lua_pushliteral(L, MSG_CLASS " ");
    if (!lent_alive(s, l))
        lua_pushliteral(L, "(its handler returned)");
    else if (s->call.message->message->id.data == NULL)
        lua_pushliteral(L, "(without id)");
    else
        convert_push_slice(L, s->call.message->message->id);
    lua_concat(L, 2);
    return 1;
}

void lib_msg_open(lua_State *L)
{
    lua_createtable(L, 0, FIELDS);
    for (int i = 0; i < FIELDS; i++) {
        lua_pushinteger(L, i);
        lua_setfield(L, -2, names[i]);
    }
    lent_open(L, MSG_CLASS, msg_index, msg_newindex, msg_tostring);
}

void lib_msg_push(lua_State *L)
{
    lent_push(L, MSG_CLASS, USER_VALUES);
}
