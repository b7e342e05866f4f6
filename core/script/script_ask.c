/* script_ask - script_route, script_envelope, script_identity: what rules are asked about a
 * message besides handling it. No transaction is lent; the limits are a handler's. What
 * authors' functions return is checked by rules.lua, whose closures are called here; it
 * is copied into an arena, which the next question empties. Identities have an arena of
 * their own: an envelope's answer is in use when they are asked for. */
#include "script/convert.h"
#include "script/declared.h"
#include "script/decode.h"
#include "script/lib_msg.h"
#include "script/protect.h"
#include "script/script_call.h"

/* What goes through the door, there and back. */
struct question {
    struct script *script;
    struct arena *answers; /* emptied before it is asked */
    int function;          /* its handle */
    const char *origin;    /* where it was declared: the place of an error that has none */
    struct script_reading reading;
    const char *refusal; /* lent by the answers: a named envelope cannot read it; NULL: it can */
    struct buf no_room;  /* without room */
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

/* Reads the table at `index` as the answer; nobody wants its JSON. */
static struct declared answer_at(struct question *q, lua_State *L, int index)
{
    return (struct declared){
        .L = L, .table = index, .calls = index, .memory = q->answers, .json = &q->no_room};
}

/* Runs under protect. */
static int ask_route(lua_State *L)
{
    struct question *q = lua_touserdata(L, 1);
    struct declared answer;

    call_push_function(L, q->function);
    lib_msg_push(L);
    lua_call(L, 1, 1);
    answer = answer_at(q, L, lua_gettop(L));
    q->chosen = declared_destinations(&answer, "to", &q->n_chosen, NULL);
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

/* Pushes the properties of the message as it was received. */
static void push_properties(lua_State *L, struct script *s)
{
    const struct script_message *sm = s->call.message;
    const struct message *m = sm->message;

    if (m->properties.data != NULL)
        decode_headers(L, &s->tape, m->properties, "message properties");
    else
        lua_createtable(L, 0, 8);
    convert_set_slice(L, "message_id", m->id);
    convert_set_slice(L, "type", m->type);
    convert_set_slice(L, "content_type", m->content_type);
    convert_set_slice(L, "exchange", sm->exchange);
    convert_set_slice(L, "routing_key", sm->routing_key);
    convert_set_slice(L, "queue", sm->queue);
    if (m->timestamp_s != 0)
        convert_set_integer(L, "timestamp", m->timestamp_s);
    lib_msg_push_headers(L, s, m);
    lua_setfield(L, -2, "headers");
}

/* nil: what was received stays the body. A string goes out as it is, as in tx:emit. */
static void keep_body(const struct declared *answer, struct encoder *encoder, int index,
                      struct message *m)
{
    lua_State *L = answer->L;

    if (lua_isnil(L, index))
        return;
    if (lua_type(L, index) == LUA_TSTRING) {
        m->body.data = lua_tolstring(L, index, &m->body.len);
    } else {
        encode_json(L, encoder, index, "body");
        m->body = (struct slice){encoder->out.data, encoder->out.len};
        m->content_type = (struct slice){NULL, 0}; /* JSON now, whatever it was */
    }
    m->body = declared_keep(answer, m->body);
}

/* Runs under protect. */
static int ask_envelope(lua_State *L)
{
    struct question *q = lua_touserdata(L, 1);
    struct message *m = &q->reading.message;
    struct declared answer;
    struct slice id, content_type;
    int64_t timestamp_s;

    call_push_function(L, q->function);
    convert_push_slice(L, m->body);
    push_properties(L, q->script);
    lua_call(L, 2, 2);
    answer = answer_at(q, L, lua_gettop(L) - 1);
    if (lua_isnil(L, answer.table)) {
        q->refusal = declared_keep(&answer, slice_of(lua_tostring(L, -1))).data;
        return 0;
    }
    m->type = declared_text(&answer, "type");
    m->key[0] = declared_text(&answer, "business_key1");
    m->key[1] = declared_text(&answer, "business_key2");
    m->key[2] = declared_text(&answer, "business_key3");
    id = declared_text(&answer, "id");
    if (id.data != NULL)
        m->id = id;
    timestamp_s = declared_integer(&answer, "timestamp");
    if (timestamp_s != 0)
        m->timestamp_s = timestamp_s;
    q->reading.due_at = declared_integer(&answer, "due_at");
    q->reading.expires_at = declared_integer(&answer, "expires_at");
    keep_body(&answer, &q->script->encoder, lua_gettop(L), m);
    content_type = declared_text(&answer, "content_type");
    if (content_type.data != NULL)
        m->content_type = content_type;
    return 0;
}

int script_envelope(struct script *s, const struct script_message *received,
                    struct script_reading *out, struct err *err)
{
    struct question q = {.script = s,
                         .answers = &s->answers,
                         .function = received->subscription->envelope_function,
                         .origin = received->subscription->origin,
                         .reading = {.message = *received->message}};
    int rc = ask(&q, received, ask_envelope, err);

    if (rc == OK && q.refusal != NULL)
        return err_set(err, ERR_INPUT, "envelope = \"%s\": %s",
                       received->subscription->envelope_name, q.refusal);
    if (rc == OK)
        *out = q.reading;
    return rc;
}

/* Runs under protect. */
static int ask_identity(lua_State *L)
{
    struct question *q = lua_touserdata(L, 1);
    const struct declared answer = answer_at(q, L, 0);
    struct slice id;

    call_push_function(L, q->function);
    lib_msg_push(L);
    lua_call(L, 1, 1);
    id.data = lua_tolstring(L, -1, &id.len);
    q->id = declared_keep(&answer, id);
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
