/* cli_store - see cli_store.h. */
#include "face/cli_store.h"

#include "store/tries.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STORE_CLASS "herald.cli.store"

enum { STORE_MEMORY = 512 * 1024 * 1024, REST_MAX_MS = 1000 };

static int close_store(lua_State *L)
{
    struct cli_store *s = luaL_checkudata(L, 1, STORE_CLASS);

    db_close(&s->db);
    arena_free(&s->arena);
    log_free(&s->log);
    free(s->ids);
    s->ids = NULL;
    return 0;
}

/* Pushes it in its closed state first, then opens it. */
struct cli_store *cli_store_open(lua_State *L, const char *path, bool create, struct err *err)
{
    struct cli_store *s = lua_newuserdatauv(L, sizeof *s, 0);
    struct db_settings settings = {.path = path, .create = create, .clock = clock_real()};

    *s = (struct cli_store){.db = NULL};
    arena_init(&s->arena, STORE_MEMORY);
    if (luaL_newmetatable(L, STORE_CLASS)) {
        lua_pushcfunction(L, close_store);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    s->log = log_new(2, LOG_ERROR, LOG_LOGFMT, clock_real());
    settings.log = s->log;
    if (s->log == NULL)
        err_set(err, ERR_NOMEM, "out of memory");
    else
        db_open(&s->db, &settings, err);
    if (err->code == ERR_NOT_FOUND)
        err_set(err, ERR_NOT_FOUND,
                "no store at %s: `herald run` and `herald emit` make it; give the router's folder "
                "with -C DIR, or the store with --store",
                path);
    return s;
}

void cli_set_integer(lua_State *L, const char *name, int64_t value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

void cli_set_slice(lua_State *L, const char *name, struct slice s)
{
    if (s.data == NULL)
        return;
    lua_pushlstring(L, s.data, s.len);
    lua_setfield(L, -2, name);
}

void cli_set_message(lua_State *L, const struct message *m)
{
    cli_set_slice(L, "type", m->type);
    cli_set_slice(L, "key1", m->key[0]);
    cli_set_slice(L, "key2", m->key[1]);
    cli_set_slice(L, "key3", m->key[2]);
    cli_set_slice(L, "body", m->body);
    cli_set_slice(L, "headers", m->headers);
    cli_set_slice(L, "content_type", m->content_type);
    cli_set_slice(L, "properties", m->properties);
    if (m->timestamp_s != 0)
        cli_set_integer(L, "timestamp", m->timestamp_s);
}

void cli_set_tries(lua_State *L, struct arena *a, struct slice tries)
{
    struct tried list[TRIES_KEPT];
    size_t n;

    if (!tries_read(tries, a, list, &n))
        luaL_error(L, "out of memory: use a smaller --limit");
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_createtable(L, 0, 5);
        cli_set_integer(L, "at", list[i].at);
        cli_set_integer(L, "attempt", list[i].attempt);
        cli_set_integer(L, "generation", list[i].generation);
        cli_set_slice(L, "error", list[i].error);
        cli_set_slice(L, "traceback", list[i].traceback);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "tries");
}

struct slice cli_get_slice(lua_State *L, int table, const char *name)
{
    struct slice s = {NULL, 0};

    if (lua_getfield(L, table, name) != LUA_TNIL)
        s.data = luaL_checklstring(L, -1, &s.len);
    lua_pop(L, 1); /* the table still holds the string */
    return s;
}

int64_t cli_get_integer(lua_State *L, int table, const char *name, int64_t absent)
{
    int64_t value = absent;

    if (lua_getfield(L, table, name) != LUA_TNIL)
        value = luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    return value;
}

static bool get_flag(lua_State *L, int table, const char *name)
{
    bool set;

    lua_getfield(L, table, name);
    set = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    return set;
}

/* Pushes what holds the ids, which may be nil. */
static void get_ids(lua_State *L, int table, struct pick *p)
{
    int64_t *ids;

    if (lua_getfield(L, table, "ids") == LUA_TNIL)
        return;
    luaL_checktype(L, -1, LUA_TTABLE);
    p->n_ids = (size_t)luaL_len(L, -1);
    luaL_argcheck(L, p->n_ids <= PICK_IDS_MAX, table, "too many ids");
    ids = lua_newuserdatauv(L, (p->n_ids + 1) * sizeof *ids, 0);
    for (size_t i = 0; i < p->n_ids; i++) {
        lua_rawgeti(L, -2, (lua_Integer)i + 1);
        ids[i] = luaL_checkinteger(L, -1);
        lua_pop(L, 1);
    }
    p->ids = ids;
    lua_replace(L, -2);
}

/* A moment that long ago; never 0, which would mean any. */
static int64_t ago(lua_State *L, int table, const char *name, int64_t now_ms)
{
    int64_t ms = cli_get_integer(L, table, name, -1);

    if (ms < 0)
        return 0;
    return ms < now_ms ? now_ms - ms : 1;
}

struct pick cli_get_pick(lua_State *L, int table)
{
    struct clock clock = clock_real();
    int64_t now_ms = clock_wall(&clock);
    struct pick p = {.group = -1};

    luaL_checktype(L, table, LUA_TTABLE);
    p.type = cli_get_slice(L, table, "type");
    p.order_type = cli_get_slice(L, table, "order_type");
    p.queue = cli_get_slice(L, table, "queue");
    p.side = cli_get_slice(L, table, "side");
    p.lane = cli_get_slice(L, table, "lane");
    p.error = cli_get_slice(L, table, "error");
    p.group = cli_get_integer(L, table, "group", -1);
    p.before_ms = ago(L, table, "older_ms", now_ms);
    p.since_ms = ago(L, table, "newer_ms", now_ms);
    p.later_ms = get_flag(L, table, "later") ? now_ms : 0;
    p.failed = get_flag(L, table, "failed");
    get_ids(L, table, &p);
    return p;
}

/* Whoever wants to write meanwhile gets as much time as was taken: the router never waits
 * for a lock, and would find none free. */
static void rest(int64_t ms)
{
    struct timespec pause = {.tv_nsec = 1000000};

    if (ms > REST_MAX_MS)
        ms = REST_MAX_MS;
    pause.tv_sec = ms / 1000;
    if (ms > 0)
        pause.tv_nsec = ms % 1000 * 1000000;
    (void)nanosleep(&pause, NULL); /* a signal makes it shorter */
}

static void tell(lua_State *L, int progress, int64_t done)
{
    if (lua_isnil(L, progress))
        return;
    lua_pushvalue(L, progress);
    lua_pushinteger(L, done);
    lua_call(L, 1, 0);
}

/* May raise between two batches, when the caller's progress does. */
static int64_t run_batches(lua_State *L, struct cli_store *s, size_t n, pick_fn *fn,
                           int64_t *too_large_out, struct err *err)
{
    struct clock clock = clock_real();
    struct picked picked;
    int64_t changed = 0;

    for (size_t at = 0, passed; err->code == OK && at < n; at += passed) {
        int64_t began = clock_mono(&clock);

        if (pick_batch(s->db, s->ids + at, n - at, fn, &passed, &picked, err) != OK)
            break;
        changed += (int64_t)picked.changed;
        *too_large_out += (int64_t)picked.too_large;
        if (at + passed < n) {
            tell(L, 3, changed);
            rest(clock_mono(&clock) - began);
        }
    }
    return changed;
}

int cli_change(lua_State *L, enum pick_table table, pick_fn *fn)
{
    const char *path = luaL_checkstring(L, 1);
    int64_t limit = cli_get_integer(L, 2, "limit", INT64_MAX), changed = 0, too_large = 0;
    bool dry_run = get_flag(L, 2, "dry_run");
    struct err err = {0};
    struct cli_store *s;
    struct pick p;
    size_t n = 0;

    lua_settop(L, 3);
    p = cli_get_pick(L, 2);
    s = cli_store_open(L, path, false, &err);
    if (err.code == OK)
        pick_ids(s->db, table, &p, 0, (size_t)limit, &s->ids, &n, &err);
    if (dry_run)
        changed = (int64_t)n;
    else
        changed = run_batches(L, s, n, fn, &too_large, &err);
    db_close(&s->db);
    if (err.code != OK && changed > 0)
        err_prefix(&err, "stopped after %lld", (long long)changed);
    if (err.code != OK)
        return cli_push_error(L, &err);
    lua_pushinteger(L, changed);
    lua_pushinteger(L, too_large);
    return 2;
}
