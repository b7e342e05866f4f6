/* cli_store - see cli_store.h. */
#include "face/cli_store.h"

#include "store/sqlite/backup.h"

#include <lauxlib.h>
#include <stdlib.h>

#define STORE_CLASS "herald.cli.store"

void cli_store_close(struct cli_store *s)
{
    list_close(&s->list);
    backup_close(&s->backup);
    db_close(&s->db);
}

static int free_store(lua_State *L)
{
    struct cli_store *s = luaL_checkudata(L, 1, STORE_CLASS);

    cli_store_close(s);
    log_free(&s->log);
    free(s->ids);
    s->ids = NULL;
    return 0;
}

/* Pushes it in its closed state first, then opens it. */
static struct cli_store *open_store(lua_State *L, struct db_settings settings, struct err *err)
{
    struct cli_store *s = lua_newuserdatauv(L, sizeof *s, 0);

    *s = (struct cli_store){.db = NULL};
    if (luaL_newmetatable(L, STORE_CLASS)) {
        lua_pushcfunction(L, free_store);
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
                settings.path);
    return s;
}

struct cli_store *cli_store_open(lua_State *L, const char *path, bool create, struct err *err)
{
    return open_store(
        L, (struct db_settings){.path = path, .create = create, .clock = clock_real()}, err);
}

struct cli_store *cli_store_open_as_it_is(lua_State *L, const char *path, struct err *err)
{
    return open_store(
        L, (struct db_settings){.path = path, .as_it_is = true, .clock = clock_real()}, err);
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

bool cli_get_flag(lua_State *L, int table, const char *name)
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
    p.key1 = cli_get_slice(L, table, "key1");
    p.key3 = cli_get_slice(L, table, "key3");
    p.message_id = cli_get_slice(L, table, "message_id");
    p.queue = cli_get_slice(L, table, "queue");
    p.side = cli_get_slice(L, table, "side");
    p.lane = cli_get_slice(L, table, "lane");
    p.error = cli_get_slice(L, table, "error");
    p.header = cli_get_slice(L, table, "header");
    p.group = cli_get_integer(L, table, "group", -1);
    p.before_ms = cli_get_integer(L, table, "before_ms", ago(L, table, "older_ms", now_ms));
    p.since_ms = cli_get_integer(L, table, "since_ms", ago(L, table, "newer_ms", now_ms));
    p.later_ms = cli_get_flag(L, table, "later") ? now_ms : 0;
    p.failed = cli_get_flag(L, table, "failed");
    get_ids(L, table, &p);
    return p;
}
