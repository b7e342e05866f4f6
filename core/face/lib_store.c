/*
 * lib_store - herald.core for the command line: emit, cancel and counts (cli.h)
 *
 * These work on the store directly, beside a running router or without one.
 */
#include "base/json.h"
#include "base/message.h"
#include "base/properties.h"
#include "face/cli_store.h"
#include "script/convert.h"
#include "script/decode.h"
#include "store/letter.h"
#include "store/outbox.h"
#include "store/retry.h"
#include "store/waiting.h"

#include <lauxlib.h>

enum {
    SHORT_MAX = 255, /* bytes of what AMQP sends as a short text */
    TOLD_MAX = 16 * 1024 * 1024,
};

static int check_properties(struct slice json, const char *dash, struct err *err)
{
    struct properties p;
    int rc;

    properties_init(&p);
    rc = properties_read(&p, json, err);
    properties_free(&p);
    if (rc == ERR_INPUT) {
        err_prefix(err, "%s", dash[0] != '\0' ? "--property" : "properties");
        rc = err->code = ERR_CONFIG; /* as any word of the command line */
    }
    return rc;
}

int cli_check_message(const struct message *m, const char *dash, struct err *err)
{
    struct envelope e;
    int rc = check_properties(m->properties, dash, err);

    if (rc != OK)
        return rc;

    if (m->type.len == 0 || m->type.len > SHORT_MAX)
        return err_set(err, ERR_CONFIG, "%stype must have 1 to %d bytes", dash, SHORT_MAX);
    if (m->id.data != NULL && (m->id.len == 0 || m->id.len > SHORT_MAX))
        return err_set(err, ERR_CONFIG, "%sid must have 1 to %d bytes", dash, SHORT_MAX);
    if (m->body.data == NULL)
        return OK;
    if (m->body.len > MESSAGE_BODY_MAX)
        return err_set(err, ERR_INPUT, "%sbody has %zu bytes, over the limit of %d", dash,
                       m->body.len, MESSAGE_BODY_MAX);
    envelope_init(&e);
    rc = envelope_read(&e, m->body, err);
    envelope_free(&e);
    return rc == OK ? OK : err_prefix(err, "%sbody", dash);
}

static int add_rows(struct db *db, const struct message *m, int64_t due_at, struct slice key,
                    int64_t *ids, size_t n, struct err *err)
{
    int rc = db_begin(db, err);

    for (size_t i = 0; i < n && rc == OK; i++)
        rc = outbox_add_keyed(db, m, due_at, key, &ids[i], err);
    if (rc == OK)
        rc = db_commit(db, err);
    if (rc != OK)
        db_rollback(db);
    return rc;
}

int64_t cli_due_time(lua_State *L, int table)
{
    struct clock clock = clock_real();
    int64_t delay = cli_get_integer(L, table, "delay", 0);

    return delay > 0 ? clock_wall(&clock) + delay : cli_get_integer(L, table, "at", 0);
}

/* emit(path, {type, key1.., body, properties, id, at, delay, key}, count) -> list of ids, or nil,
 * kind, why */
static int emit(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    size_t count = (size_t)luaL_checkinteger(L, 3);
    struct err err = {0};
    struct message m = {0};
    struct cli_store *h;
    struct slice key;
    int64_t *ids, due_at;

    luaL_checktype(L, 2, LUA_TTABLE);
    due_at = cli_due_time(L, 2);
    key = cli_get_slice(L, 2, "key");
    m.type = cli_get_slice(L, 2, "type");
    m.key[0] = cli_get_slice(L, 2, "key1");
    m.key[1] = cli_get_slice(L, 2, "key2");
    m.key[2] = cli_get_slice(L, 2, "key3");
    m.body = cli_get_slice(L, 2, "body");
    m.properties = cli_get_slice(L, 2, "properties");
    m.id = cli_get_slice(L, 2, "id");
    if (m.id.data != NULL && count > 1)
        err_set(&err, ERR_CONFIG, "--id with --count %d: one id names one message", (int)count);
    else
        cli_check_message(&m, "--", &err);
    if (err.code != OK)
        return cli_push_error(L, &err);
    ids = lua_newuserdatauv(L, count * sizeof *ids, 0);
    h = cli_store_open(L, path, true, &err);
    if (err.code == OK)
        add_rows(h->db, &m, due_at, key, ids, count, &err);
    db_close(&h->db);
    if (err.code != OK)
        return cli_push_error(L, &err);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushinteger(L, ids[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int cancel_key(struct db *db, struct slice key, enum cancelled *was, struct err *err)
{
    int rc = db_begin(db, err);

    /* Which rows are in flight only the router knows: one that waits for nothing may be. */
    if (rc == OK)
        rc = outbox_cancel(db, key, INT64_MAX, was, err);
    if (rc == OK)
        rc = db_commit(db, err);
    if (rc != OK)
        db_rollback(db);
    return rc;
}

/* outbox_cancel(path, key) -> "cancelled", "sent" or "none", or nil, kind, why */
static int cancel(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    static const char *const words[] = {
        [CANCEL_NONE] = "none", [CANCEL_DONE] = "cancelled", [CANCEL_SENT] = "sent"};
    struct slice key;
    struct err err = {0};
    enum cancelled was = CANCEL_NONE;
    struct cli_store *h;

    key.data = luaL_checklstring(L, 2, &key.len);
    h = cli_store_open(L, path, false, &err);
    if (err.code == OK)
        cancel_key(h->db, key, &was, &err);
    db_close(&h->db);
    if (err.code != OK)
        return cli_push_error(L, &err);
    lua_pushstring(L, words[was]);
    return 1;
}

static void put_rows(struct buf *b, const struct waiting_rows *rows, const char *name)
{
    json_add_object(b, name);
    json_add_int(b, "n", rows->n);
    json_add_bool(b, "more", rows->more);
    json_add_int(b, "since", rows->since);
    json_add_int(b, "next", rows->next);
    json_add_int(b, "attempts", rows->attempts);
    json_end(b, "}");
}

/* A waiting_queue_fn. */
static void put_queue(void *arg, const struct waiting_queue *q)
{
    struct buf *b = arg;

    json_add_object(b, NULL);
    json_add_text(b, "queue", q->queue);
    json_add_int(b, "due", q->due);
    json_add_int(b, "later", q->later);
    json_add_int(b, "behind", q->behind);
    json_add_int(b, "since", q->since);
    json_add_int(b, "next", q->next);
    json_add_int(b, "attempts", q->attempts);
    json_add_text(b, "error", q->error);
    json_end(b, "}");
}

static int put_waiting(struct db *db, int64_t cursor, int64_t now_ms, struct buf *b,
                       struct err *err)
{
    struct waiting_outbox outbox;
    int rc = waiting_outbox(db, cursor, now_ms, &outbox, err);

    json_add_object(b, NULL);
    json_add_object(b, "outbox");
    for (int c = 0; c < WAITING_CLASSES; c++)
        put_rows(b, &outbox.rows[c], waiting_word((enum waiting_class)c));
    json_end(b, "}");
    json_add_array(b, "retries");
    if (rc == OK)
        rc = waiting_queues(db, now_ms, put_queue, b, err);
    json_end(b, "]");
    json_end(b, "}");
    return b->failed && rc == OK ? err_set(err, ERR_NOMEM, "out of memory") : rc;
}

/* counts(path, cursor) -> {pending, oldest_ms, retries, dead, wal_bytes, path, now, waiting}, or
 * nil, kind, why. `cursor`: as waiting_outbox has it; `waiting`: {outbox = {fresh = {n, more,
 * since, next, attempts}, ...}, retries = {{queue, due, later, behind, since, next, attempts,
 * error},
 * ...}} */
static int counts(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    int64_t cursor = luaL_optinteger(L, 2, 0);
    struct clock clock = clock_real();
    struct err err = {0};
    struct outbox_counts outbox = {0};
    int64_t retries = 0, dead = 0, wal = 0, now_ms = clock_wall(&clock);
    struct buf *told = cli_push_buf(L, TOLD_MAX), *tape = cli_push_buf(L, 8 * TOLD_MAX);
    struct cli_store *h = cli_store_open(L, path, false, &err);

    if (err.code == OK)
        outbox_count(h->db, &outbox, &err);
    if (err.code == OK)
        retry_count(h->db, &retries, &err);
    if (err.code == OK)
        letter_count(h->db, &dead, &err);
    if (err.code == OK)
        put_waiting(h->db, cursor, now_ms, told, &err);
    if (err.code == OK)
        wal = db_wal_bytes(h->db);
    db_close(&h->db);
    if (err.code != OK)
        return cli_push_error(L, &err);
    lua_newtable(L);
    convert_set_integer(L, "pending", outbox.pending);
    convert_set_integer(L, "oldest_ms", outbox.oldest_at ? now_ms - outbox.oldest_at : 0);
    convert_set_integer(L, "retries", retries);
    convert_set_integer(L, "dead", dead);
    convert_set_integer(L, "wal_bytes", wal);
    convert_set_integer(L, "now", now_ms);
    convert_set_slice(L, "path", slice_of(path));
    decode_json(L, tape, (struct slice){told->data, told->len}, "what waits");
    lua_setfield(L, -2, "waiting");
    return 1;
}

void cli_add_store(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"emit", emit}, {"outbox_cancel", cancel}, {"counts", counts}, {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
    cli_add_lists(L);
    cli_add_changes(L);
    cli_add_backup(L);
    cli_add_admin(L);
    cli_add_halts(L);
}
