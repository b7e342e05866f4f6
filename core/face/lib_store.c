/*
 * lib_store - herald.core for the command line: emit, counts, dead letters (cli.h)
 *
 * These work on the store directly, beside a running router or without one.
 */
#include "base/arena.h"
#include "base/message.h"
#include "face/cli.h"
#include "store/dead.h"
#include "store/outbox.h"
#include "store/retry.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { LETTERS_MEMORY = 512 * 1024 * 1024 };

/* A store that closes itself when a Lua error passes by. */
#define STORE_CLASS "herald.cli.store"

struct handle {
    struct db *db;      /* owned; NULL once closed */
    struct arena arena; /* copies of what was read */
    struct log *log;    /* warnings of the store; owned */
};

static int close_handle(lua_State *L)
{
    struct handle *h = luaL_checkudata(L, 1, STORE_CLASS);

    db_close(&h->db);
    arena_free(&h->arena);
    log_free(&h->log);
    return 0;
}

/* Pushes a handle in its closed state first, then opens it. */
static struct handle *open_handle(lua_State *L, const char *path, bool create, struct err *err)
{
    struct handle *h = lua_newuserdatauv(L, sizeof *h, 0);
    struct db_settings settings = {.path = path, .create = create, .clock = clock_real()};

    *h = (struct handle){.db = NULL};
    arena_init(&h->arena, LETTERS_MEMORY);
    if (luaL_newmetatable(L, STORE_CLASS)) {
        lua_pushcfunction(L, close_handle);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    h->log = log_new(2, LOG_ERROR, LOG_LOGFMT, clock_real());
    settings.log = h->log;
    if (h->log == NULL)
        err_set(err, ERR_NOMEM, "out of memory");
    else
        db_open(&h->db, &settings, err);
    return h;
}

static struct slice field_slice(lua_State *L, int table, const char *name)
{
    struct slice s = {NULL, 0};

    if (lua_getfield(L, table, name) != LUA_TNIL)
        s.data = luaL_checklstring(L, -1, &s.len);
    lua_pop(L, 1); /* the table still holds the string */
    return s;
}

static int check_message(const struct message *m, struct err *err)
{
    struct envelope e;
    int rc = OK;

    if (m->type.len == 0 || m->type.len > 255)
        return err_set(err, ERR_INPUT, "--type must have 1 to 255 bytes");
    if (m->body.data == NULL)
        return OK;
    if (m->body.len > MESSAGE_BODY_MAX)
        return err_set(err, ERR_INPUT, "--body has %zu bytes, over the limit of %d", m->body.len,
                       MESSAGE_BODY_MAX);
    envelope_init(&e);
    rc = envelope_read(&e, m->body, err);
    envelope_free(&e);
    return rc == OK ? OK : err_prefix(err, "--body");
}

static int add_rows(struct db *db, const struct message *m, int64_t *ids, size_t n, struct err *err)
{
    int rc = db_begin(db, err);

    for (size_t i = 0; i < n && rc == OK; i++)
        rc = outbox_add(db, m, 0, &ids[i], err);
    if (rc == OK)
        rc = db_commit(db, err);
    if (rc != OK)
        db_rollback(db);
    return rc;
}

/* emit(path, {type, key1.., body, id}, count) -> list of ids, or nil, kind, why */
static int emit(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    size_t count = (size_t)luaL_checkinteger(L, 3);
    struct err err = {0};
    struct message m = {0};
    struct handle *h;
    int64_t *ids;

    luaL_checktype(L, 2, LUA_TTABLE);
    m.type = field_slice(L, 2, "type");
    m.key[0] = field_slice(L, 2, "key1");
    m.key[1] = field_slice(L, 2, "key2");
    m.key[2] = field_slice(L, 2, "key3");
    m.body = field_slice(L, 2, "body");
    m.id = field_slice(L, 2, "id");
    if (m.id.data != NULL && count > 1)
        err_set(&err, ERR_CONFIG, "--id with --count %d: one id names one message", (int)count);
    else
        check_message(&m, &err);
    if (err.code != OK)
        return cli_push_error(L, &err);
    ids = lua_newuserdatauv(L, count * sizeof *ids, 0);
    h = open_handle(L, path, true, &err);
    if (err.code == OK)
        add_rows(h->db, &m, ids, count, &err);
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

static void set_integer(lua_State *L, const char *name, int64_t value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

static void set_slice(lua_State *L, const char *name, struct slice s)
{
    if (s.data == NULL)
        return;
    lua_pushlstring(L, s.data, s.len);
    lua_setfield(L, -2, name);
}

/* counts(path) -> {pending, oldest_ms, retries, dead, wal_bytes, path}, or nil, kind, why */
static int counts(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct clock clock = clock_real();
    struct err err = {0};
    struct outbox_counts outbox = {0};
    int64_t retries = 0, dead = 0, wal = 0;
    struct handle *h = open_handle(L, path, false, &err);

    if (err.code == ERR_NOT_FOUND)
        err_set(&err, ERR_NOT_FOUND,
                "no store at %s: `herald run` and `herald emit` make it, or give it with --store",
                path);
    if (err.code == OK)
        outbox_count(h->db, &outbox, &err);
    if (err.code == OK)
        retry_count(h->db, &retries, &err);
    if (err.code == OK)
        dead_count(h->db, &dead, &err);
    if (err.code == OK)
        wal = db_wal_bytes(h->db);
    db_close(&h->db);
    if (err.code != OK)
        return cli_push_error(L, &err);
    lua_newtable(L);
    set_integer(L, "pending", outbox.pending);
    set_integer(L, "oldest_ms", outbox.oldest_at ? clock_wall(&clock) - outbox.oldest_at : 0);
    set_integer(L, "retries", retries);
    set_integer(L, "dead", dead);
    set_integer(L, "wal_bytes", wal);
    set_slice(L, "path", slice_of(path));
    return 1;
}

/* Letters are copied while the store is read, and pushed afterwards. */
struct letters {
    struct arena *arena;
    struct dead_letter *list; /* `room` of them, in the arena */
    size_t n;
    size_t room;
    bool full; /* memory ran out */
};

static bool copy_letter(void *arg, const struct dead_letter *letter)
{
    struct letters *all = arg;
    struct dead_letter copy = *letter;
    struct slice error = slice_of(letter->error), traceback = slice_of(letter->traceback);
    struct arena *a = all->arena;

    if (all->n == all->room)
        return false;
    if (!message_keep(a, &copy.message) || !arena_keep(a, &copy.queue) ||
        !arena_keep(a, &copy.identity) || !arena_keep(a, &copy.exchange) ||
        !arena_keep(a, &copy.routing_key) || !arena_keep(a, &error) || !arena_keep(a, &traceback)) {
        all->full = true;
        return false;
    }
    copy.error = error.data;
    copy.traceback = traceback.data;
    all->list[all->n++] = copy;
    return true;
}

static void push_letter(lua_State *L, const struct dead_letter *l)
{
    lua_newtable(L);
    set_integer(L, "id", l->id);
    set_integer(L, "attempts", l->attempts);
    set_integer(L, "generation", l->generation);
    set_integer(L, "at", l->at);
    set_slice(L, "side", slice_of(l->side == DEAD_INBOX ? "inbox" : "outbox"));
    set_slice(L, "queue", l->queue);
    set_slice(L, "message_id", l->message.id.data ? l->message.id : l->identity);
    set_slice(L, "type", l->message.type);
    set_slice(L, "key1", l->message.key[0]);
    set_slice(L, "key2", l->message.key[1]);
    set_slice(L, "key3", l->message.key[2]);
    set_slice(L, "body", l->message.body);
    set_slice(L, "headers", l->message.headers);
    set_slice(L, "exchange", l->exchange);
    set_slice(L, "routing_key", l->routing_key);
    set_slice(L, "error", slice_of(l->error));
    set_slice(L, "traceback", slice_of(l->traceback));
}

/* Opens, makes room for letters, and leaves the handle on the stack. */
static struct handle *open_letters(lua_State *L, const char *path, size_t room, struct letters *all,
                                   struct err *err)
{
    struct handle *h = open_handle(L, path, false, err);

    if (err->code == ERR_NOT_FOUND)
        err_set(err, ERR_NOT_FOUND, "no store at %s: give the router's folder with -C DIR", path);
    *all = (struct letters){.arena = &h->arena, .room = room};
    if (err->code == OK)
        all->list = arena_take(&h->arena, room * sizeof *all->list);
    if (err->code == OK && all->list == NULL)
        err_set(err, ERR_NOMEM, "out of memory: use a smaller --limit");
    return h;
}

/* dead_list(path, after, limit) -> list of letters, or nil, kind, why */
static int list_letters(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    int64_t after = luaL_checkinteger(L, 2);
    size_t limit = (size_t)luaL_checkinteger(L, 3);
    struct err err = {0};
    struct letters all;
    struct handle *h = open_letters(L, path, limit, &all, &err);

    if (err.code == OK)
        dead_list(h->db, after, limit, copy_letter, &all, &err);
    if (err.code == OK && all.full)
        err_set(&err, ERR_LIMIT, "these letters take over 512 MiB: use a smaller --limit");
    db_close(&h->db);
    if (err.code != OK)
        return cli_push_error(L, &err);
    lua_createtable(L, (int)all.n, 0);
    for (size_t i = 0; i < all.n; i++) {
        push_letter(L, &all.list[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* dead_get(path, id) -> the letter, or nil, kind, why */
static int get_letter(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    int64_t id = luaL_checkinteger(L, 2);
    struct err err = {0};
    struct letters all;
    struct handle *h = open_letters(L, path, 1, &all, &err);

    if (err.code == OK)
        dead_get(h->db, id, copy_letter, &all, &err);
    if (err.code == ERR_NOT_FOUND)
        err_set(&err, ERR_NOT_FOUND, "no dead letter %lld: `herald dead list` shows them",
                (long long)id);
    db_close(&h->db);
    if (err.code != OK)
        return cli_push_error(L, &err);
    push_letter(L, &all.list[0]);
    return 1;
}

void cli_add_store(lua_State *L)
{
    static const luaL_Reg functions[] = {{"emit", emit},
                                         {"counts", counts},
                                         {"dead_list", list_letters},
                                         {"dead_get", get_letter},
                                         {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
}
