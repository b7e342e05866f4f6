/* lib_admin - herald.core for clerks: what a request says, and messages from it (cli.h). */
#include "base/json.h"
#include "base/message.h"
#include "face/cli_store.h"
#include "script/convert.h"
#include "store/inbox.h"
#include "store/outbox.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum {
    TEXT_ROOM = 2 * MESSAGE_BODY_MAX, /* JSON that is written again */
    NICE = 10,
    OWN_ID_MAX = 255,
    LOOK_SLOTS = 8,
};

/* Keys of requests lie in the inbox, under a name that no queue can have: RabbitMQ keeps amq.* to
 * itself. They are forgotten as the ids of messages are. */
#define KEYS_QUEUE "amq.herald.requests"

/* Appends the value of a token as JSON; the token after it. */
static const struct json_token *put_value(struct buf *b, const struct json *j,
                                          const struct json_token *t);

static const struct json_token *put_items(struct buf *b, const struct json *j,
                                          const struct json_token *t)
{
    bool object = t->kind == JSON_OBJECT;
    uint32_t n = t->len;

    (void)buf_text(b, object ? "{" : "["); /* failures are remembered */
    t++;
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0)
            (void)buf_text(b, ",");
        if (object) {
            t = put_value(b, j, t);
            (void)buf_text(b, ":");
        }
        t = put_value(b, j, t);
    }
    (void)buf_text(b, object ? "}" : "]");
    return t;
}

static const struct json_token *put_value(struct buf *b, const struct json *j,
                                          const struct json_token *t)
{
    struct slice text = {NULL, 0};

    switch ((enum json_kind)t->kind) {
    case JSON_NULL:
        text = slice_of("null");
        break;
    case JSON_FALSE:
        text = slice_of("false");
        break;
    case JSON_TRUE:
        text = slice_of("true");
        break;
    case JSON_INTEGER:
    case JSON_REAL:
        text = json_text(j, t);
        break;
    case JSON_STRING:
        text = json_text(j, t);
        (void)json_put_string(b, text.data, text.len); /* remembered, too */
        return json_next(j, t);
    case JSON_ARRAY:
    case JSON_OBJECT:
        return put_items(b, j, t);
    }
    (void)buf_append(b, text.data, text.len);
    return json_next(j, t);
}

/* A text that is looked at, and room to write parts of it. */
struct looking {
    struct json json;
    struct buf *part;
};

/* Pushes {kind, value, json}; the members of an object and the items of an array are such tables,
 * down to a depth. */
static const struct json_token *push_look(lua_State *L, struct looking *l,
                                          const struct json_token *t, int depth);

static void push_inner(lua_State *L, struct looking *l, const struct json_token *t, int depth)
{
    uint32_t n = t->len;
    bool object = t->kind == JSON_OBJECT;

    lua_createtable(L, object ? 0 : (int)n, object ? (int)n : 0);
    t++;
    for (uint32_t i = 1; i <= n; i++) {
        if (object) {
            convert_push_slice(L, json_text(&l->json, t));
            t = json_next(&l->json, t);
            t = push_look(L, l, t, depth);
            lua_rawset(L, -3);
        } else {
            t = push_look(L, l, t, depth);
            lua_rawseti(L, -2, (lua_Integer)i);
        }
    }
}

static void push_scalar(lua_State *L, const struct json *j, const struct json_token *t)
{
    int64_t n;

    if (t->kind == JSON_INTEGER && json_integer(json_text(j, t), &n))
        lua_pushinteger(L, n);
    else if (t->kind == JSON_FALSE || t->kind == JSON_TRUE)
        lua_pushboolean(L, t->kind == JSON_TRUE);
    else if (t->kind == JSON_NULL)
        lua_pushnil(L);
    else
        convert_push_slice(L, json_text(j, t));
}

static const struct json_token *push_look(lua_State *L, struct looking *l,
                                          const struct json_token *t, int depth)
{
    static const char *const kinds[] = {
        [JSON_NULL] = "null",       [JSON_FALSE] = "boolean", [JSON_TRUE] = "boolean",
        [JSON_INTEGER] = "integer", [JSON_REAL] = "number",   [JSON_STRING] = "string",
        [JSON_ARRAY] = "array",     [JSON_OBJECT] = "object"};
    const struct json_token *next;

    luaL_checkstack(L, LOOK_SLOTS, "JSON");
    lua_createtable(L, 0, 3);
    buf_clear(l->part);
    next = put_value(l->part, &l->json, t);
    if (l->part->failed)
        luaL_error(L, "out of memory for JSON");
    lua_pushstring(L, kinds[t->kind]);
    lua_setfield(L, -2, "kind");
    lua_pushlstring(L, l->part->data, l->part->len);
    lua_setfield(L, -2, "json");
    if (t->kind < JSON_ARRAY)
        push_scalar(L, &l->json, t);
    else if (depth > 0)
        push_inner(L, l, t, depth - 1);
    else
        lua_pushnil(L);
    lua_setfield(L, -2, "value");
    return next;
}

/* json_look(text, depth) -> {kind, value, json}, or nil and why: `kind` is null, boolean, integer,
 * number, string, array or object; `value` of the latter two a table of such tables, down to
 * `depth`; `json` its text. */
static int json_look(lua_State *L)
{
    struct looking l;
    struct err err = {0};
    struct buf *tape = cli_push_buf(L, JSON_TAPE_MAX);
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);

    l.part = cli_push_buf(L, TEXT_ROOM);
    if (json_parse(&l.json, tape, text, len, &err) != OK) {
        lua_pushnil(L);
        lua_pushstring(L, err.text);
        return 2;
    }
    (void)push_look(L, &l, l.json.tape, (int)luaL_checkinteger(L, 2));
    return 1;
}

/* A request for messages. */
struct posting {
    struct db *db;
    struct slice key;               /* of the request; absent: none */
    struct fingerprint fingerprint; /* of its body */
    bool replayed;                  /* it was answered before */
};

/* Enters the key of the request, or finds it. */
static int enter_key(struct posting *p, struct err *err)
{
    struct clock clock = clock_real();
    struct inbox_seen seen = {.known = false};
    int rc = p->key.data == NULL ? OK
                                 : inbox_enter(p->db, slice_of(KEYS_QUEUE), p->key, p->fingerprint,
                                               clock_wall(&clock), &seen, err);

    if (rc != OK || !seen.known)
        return rc;
    p->replayed = true;
    if (seen.fingerprint.bits == p->fingerprint.bits)
        return OK;
    return err_set(err, ERR_TX_LOST, "this Idempotency-Key came with another body before");
}

/* "<store id>:<key>:<n>", or "<store id>:<row>" as the outbox makes it. */
static int put_id(const struct posting *p, int64_t row, int n, char out[OWN_ID_MAX + 1])
{
    if (p->key.data == NULL)
        return snprintf(out, OWN_ID_MAX + 1, "%s:%lld", db_store_id(p->db, row), (long long)row);
    return snprintf(out, OWN_ID_MAX + 1, "%s:%.*s:%d", db_store_id(p->db, 1), (int)p->key.len,
                    p->key.data, n);
}

/* Adds the message at the table on top, and pushes its id. */
static int add_message(lua_State *L, struct posting *p, int n, struct err *err)
{
    int table = lua_gettop(L), rc;
    struct message m = {.type = cli_get_slice(L, table, "type")};
    struct slice key = cli_get_slice(L, table, "key");
    char id[OWN_ID_MAX + 1];
    bool own;
    int64_t row = 0, due_at = cli_due_time(L, table);

    m.key[0] = cli_get_slice(L, table, "key1");
    m.key[1] = cli_get_slice(L, table, "key2");
    m.key[2] = cli_get_slice(L, table, "key3");
    m.body = cli_get_slice(L, table, "body");
    m.headers = cli_get_slice(L, table, "headers");
    m.properties = cli_get_slice(L, table, "properties");
    m.id = cli_get_slice(L, table, "id");
    own = m.id.data == NULL;
    if (own && p->key.data != NULL)
        m.id = (struct slice){id, (size_t)put_id(p, 0, n, id)};
    rc = cli_check_message(&m, "", err);
    if (rc == OK && !p->replayed)
        rc = outbox_add_keyed(p->db, &m, due_at, key, &row, err);
    if (rc == OK && own && p->key.data == NULL)
        m.id = (struct slice){id, (size_t)put_id(p, row, n, id)};
    if (rc == OK)
        convert_push_slice(L, m.id);
    else
        (void)err_prefix(err, "messages[%d]", n - 1);
    return rc;
}

/* Pushes the ids of the messages in the list at `list`, which are added; after an error, of those
 * before it. May raise: who closes the store then rolls back. */
static int add_messages(lua_State *L, struct posting *p, int list, struct err *err)
{
    int rc = db_begin(p->db, err);

    lua_newtable(L);
    if (rc == OK)
        rc = enter_key(p, err);
    for (int n = 1; rc == OK && lua_rawgeti(L, list, n) != LUA_TNIL; n++) {
        rc = add_message(L, p, n, err);
        if (rc == OK) {
            lua_rawseti(L, -3, n);
            lua_pop(L, 1);
        }
    }
    if (rc == OK)
        lua_pop(L, 1); /* the nil behind the last */
    if (rc == OK && !p->replayed)
        return db_commit(p->db, err);
    return rc;
}

/* post_messages(path, list, key or nil, body) -> list of message ids, and whether they were there
 * already; or nil, kind, why ("conflict": the key came with another body). A message is as emit()
 * has it, and has also headers, JSON. */
static int post_messages(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct slice body;
    struct posting p = {.replayed = false};
    struct err err = {0};
    struct cli_store *s;

    luaL_checktype(L, 2, LUA_TTABLE);
    p.key.data = luaL_optlstring(L, 3, NULL, &p.key.len);
    body.data = luaL_checklstring(L, 4, &body.len);
    p.fingerprint.bits = text_hash(TEXT_HASH_START, body.data, body.len);
    p.fingerprint.version = FINGERPRINT_OF_RECEIVED;
    s = cli_store_open(L, path, false, &err);
    p.db = s->db;
    if (err.code == OK)
        (void)add_messages(L, &p, 2, &err); /* its code is in err */
    cli_store_close(s);                     /* rolls back what is not committed */
    if (err.code == ERR_TX_LOST) {
        lua_pushnil(L);
        lua_pushliteral(L, "conflict");
        lua_pushstring(L, err.text);
        return 3;
    }
    if (err.code != OK)
        return cli_push_error(L, &err);
    lua_pushboolean(L, p.replayed);
    return 2;
}

/* yield_to_router(): this process has less priority from now on */
static int yield_to_router(lua_State *L)
{
    (void)L;
    (void)setpriority(PRIO_PROCESS, 0, NICE); /* one that it is refused is no slower */
    return 0;
}

void cli_add_admin(lua_State *L)
{
    static const luaL_Reg functions[] = {{"json_look", json_look},
                                         {"post_messages", post_messages},
                                         {"yield_to_router", yield_to_router},
                                         {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
}
