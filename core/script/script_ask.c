/* script_ask - script_route, script_envelope, script_identity: what rules are asked about a
 * message besides handling it. No transaction is lent; the limits are a handler's. What
 * authors' functions return is checked by rules.lua, whose closures are called here; it
 * is copied into an arena, which the next question empties. Identities have an arena of
 * their own: an envelope's answer is in use when they are asked for. */
#include "script/convert.h"
#include "script/decode.h"
#include "script/lib_msg.h"
#include "script/protect.h"
#include "script/script_call.h"

#include <lauxlib.h>
#include <string.h>

/* What goes through the door, there and back. */
struct question {
    struct script *script;
    struct arena *answers; /* emptied before it is asked */
    int function;          /* its handle */
    const char *origin;    /* where it was declared: the place of an error that has none */
    struct message envelope;
    struct slice id;
    struct destination *chosen;
    size_t n_chosen;
};

static int ask(struct question *q, const struct script_message *about, lua_CFunction fn,
               struct err *err)
{
    struct script *s = q->script;
    int rc;

    arena_reset(q->answers);
    call_begin(s, about, 0);
    rc = protect(s->state, fn, q, &s->answer);
    call_end(s);
    if (rc == OK)
        return OK;
    if (protect_has_place(s->answer.error))
        return err_set(err, rc == ERR_LIMIT ? ERR_SCRIPT : rc, "%s", s->answer.error);
    return err_set(err, rc == ERR_LIMIT ? ERR_SCRIPT : rc, "%s: %s", q->origin, s->answer.error);
}

static void out_of_memory(lua_State *L)
{
    struct err err;

    err_set(&err, ERR_NOMEM, "out of memory for what a function of the rules returned");
    state_end(L, &err);
}

static void *take(lua_State *L, struct arena *answers, size_t size)
{
    void *p = arena_take(answers, size);

    if (p == NULL)
        out_of_memory(L);
    return p;
}

/* A copy of the text at `index`; absent where there is none. */
static struct slice keep_text(lua_State *L, struct arena *answers, int index)
{
    struct slice text;

    text.data = lua_tolstring(L, index, &text.len);
    if (text.data != NULL && !arena_keep(answers, &text))
        out_of_memory(L);
    return text;
}

static struct slice keep_field(lua_State *L, struct arena *answers, int table, const char *name)
{
    struct slice text;

    lua_getfield(L, table, name);
    text = keep_text(L, answers, -1);
    lua_pop(L, 1);
    return text;
}

/* A destination's names are checked to hold no NUL, so the copies are C strings. */
static char *keep_name(lua_State *L, struct arena *answers, int table, const char *name)
{
    size_t len;
    const char *text;
    char *copy;

    lua_getfield(L, table, name);
    text = luaL_checklstring(L, -1, &len);
    copy = take(L, answers, len + 1);
    memcpy(copy, text, len + 1);
    lua_pop(L, 1);
    return copy;
}

static void keep_destination(lua_State *L, struct arena *answers, int table,
                             struct destination *out)
{
    static const char *const words[] = {"queue", "fanout", "direct", "topic", NULL};
    static const enum exchange_kind kinds[] = {EXCHANGE_DEFAULT, EXCHANGE_FANOUT, EXCHANGE_DIRECT,
                                               EXCHANGE_TOPIC};

    lua_getfield(L, table, "kind");
    out->kind = kinds[luaL_checkoption(L, -1, NULL, words)];
    lua_pop(L, 1);
    out->exchange = keep_name(L, answers, table, "exchange");
    out->routing_key = keep_name(L, answers, table, "routing_key");
}

/* Runs under protect. */
static int ask_route(lua_State *L)
{
    struct question *q = lua_touserdata(L, 1);
    int list;

    call_push_function(L, q->function);
    lib_msg_push(L);
    lua_call(L, 1, 1);
    list = lua_gettop(L);
    q->n_chosen = (size_t)lua_rawlen(L, list);
    q->chosen = take(L, q->answers, (q->n_chosen + 1) * sizeof *q->chosen);
    for (size_t i = 0; i < q->n_chosen; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        keep_destination(L, q->answers, lua_gettop(L), &q->chosen[i]);
        lua_pop(L, 1);
    }
    return 0;
}

int script_route(struct script *s, const struct route *r, const struct message *m,
                 const struct destination **to_out, size_t *n_out, struct err *err)
{
    const struct script_message about = {.message = m, .attempt = 1};
    struct question q = {
        .script = s, .answers = &s->answers, .function = r->to_function, .origin = r->origin};
    int rc = ask(&q, &about, ask_route, err);

    *to_out = rc == OK ? q.chosen : NULL;
    *n_out = rc == OK ? q.n_chosen : 0;
    return rc;
}

static void set_text(lua_State *L, const char *name, struct slice s)
{
    convert_push_slice(L, s);
    lua_setfield(L, -2, name);
}

/* Pushes the properties of the message as it was received. */
static void push_properties(lua_State *L, struct script *s)
{
    const struct script_message *sm = s->call.message;
    const struct message *m = sm->message;

    if (m->properties.data != NULL)
        decode_json(L, &s->tape, m->properties, "message properties");
    else
        lua_createtable(L, 0, 8);
    set_text(L, "message_id", m->id);
    set_text(L, "type", m->type);
    set_text(L, "content_type", m->content_type);
    set_text(L, "exchange", sm->exchange);
    set_text(L, "routing_key", sm->routing_key);
    set_text(L, "queue", sm->queue);
    if (m->timestamp_s != 0) {
        lua_pushinteger(L, m->timestamp_s);
        lua_setfield(L, -2, "timestamp");
    }
    if (m->headers.data != NULL)
        decode_json(L, &s->tape, m->headers, "message headers");
    else
        lua_newtable(L);
    lua_setfield(L, -2, "headers");
}

/* nil: what was received stays the body. A string goes out as it is, as in tx:emit. */
static void keep_body(lua_State *L, struct script *s, int index, struct message *m)
{
    struct slice text;

    if (lua_isnil(L, index))
        return;
    if (lua_type(L, index) == LUA_TSTRING) {
        m->body = keep_text(L, &s->answers, index);
        return;
    }
    encode_json(L, &s->encoder, index, "body");
    text = (struct slice){s->encoder.out.data, s->encoder.out.len};
    if (!arena_keep(&s->answers, &text))
        out_of_memory(L);
    m->body = text;
    m->content_type = (struct slice){NULL, 0}; /* JSON now, whatever it was */
}

/* Runs under protect. */
static int ask_envelope(lua_State *L)
{
    struct question *q = lua_touserdata(L, 1);
    struct script *s = q->script;
    struct message *m = &q->envelope;
    struct slice id;
    int texts;

    call_push_function(L, q->function);
    convert_push_slice(L, m->body);
    push_properties(L, s);
    lua_call(L, 2, 2);
    texts = lua_gettop(L) - 1;
    m->type = keep_field(L, q->answers, texts, "type");
    m->key[0] = keep_field(L, q->answers, texts, "business_key1");
    m->key[1] = keep_field(L, q->answers, texts, "business_key2");
    m->key[2] = keep_field(L, q->answers, texts, "business_key3");
    id = keep_field(L, q->answers, texts, "id");
    if (id.data != NULL)
        m->id = id;
    keep_body(L, s, texts + 1, m);
    return 0;
}

int script_envelope(struct script *s, const struct script_message *received, struct message *m,
                    struct err *err)
{
    struct question q = {.script = s,
                         .answers = &s->answers,
                         .function = received->subscription->envelope_function,
                         .origin = received->subscription->origin,
                         .envelope = *received->message};
    int rc = ask(&q, received, ask_envelope, err);

    if (rc == OK)
        *m = q.envelope;
    return rc;
}

/* Runs under protect. */
static int ask_identity(lua_State *L)
{
    struct question *q = lua_touserdata(L, 1);

    call_push_function(L, q->function);
    lib_msg_push(L);
    lua_call(L, 1, 1);
    q->id = keep_text(L, q->answers, -1);
    return 0;
}

int script_identity(struct script *s, const struct script_message *m, struct slice *id_out,
                    struct err *err)
{
    struct question q = {.script = s,
                         .answers = &s->identities,
                         .function = m->subscription->identity,
                         .origin = m->subscription->origin};
    int rc = ask(&q, m, ask_identity, err);

    *id_out = rc == OK ? q.id : (struct slice){NULL, 0};
    return rc;
}
