/*
 * lib_changes - herald.core for the command line: what people do with rows of the store (cli.h)
 *
 * All of it works on the store directly, beside a running router or without one.
 */
#include "face/cli_store.h"
#include "store/lane.h"
#include "store/letter_edit.h"
#include "store/letter_replay.h"
#include "store/rows.h"

#include <lauxlib.h>
#include <time.h>

enum { PAUSE_MAX_MS = 1000 };

/* Whoever wants to write meanwhile gets as much time as was taken: the router never waits
 * for a lock, and would find none free. */
static void leave_room(int64_t ms)
{
    struct timespec pause = {.tv_nsec = 1000000};

    if (ms > PAUSE_MAX_MS)
        ms = PAUSE_MAX_MS;
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
            leave_room(clock_mono(&clock) - began);
        }
    }
    return changed;
}

static const struct {
    const char *name; /* the function's */
    enum pick_table table;
    pick_fn *fn;
} changes[] = {
    {"dead_replay", PICK_LETTERS, letter_replay},
    {"dead_drop", PICK_LETTERS, letter_drop},
    {"retries_now", PICK_RETRY, retry_now},
    {"retries_drop", PICK_RETRY, retry_drop},
    {"outbox_retry", PICK_OUTBOX, outbox_now},
    {"outbox_drop", PICK_OUTBOX, outbox_drop},
    {"lanes_release_retry", PICK_RETRY, lane_release_retry},
    {"lanes_release_letter", PICK_LETTERS, lane_release_letter},
    {"lanes_release_row", PICK_OUTBOX, lane_release_row},
};

enum { CHANGES = sizeof changes / sizeof changes[0] };

/* (path, pick, progress) -> how many, and how many were too large, or nil, kind, why. `pick` has
 * also limit and dry_run; progress, or nil, is called with the number so far after each batch. */
static int change(lua_State *L)
{
    lua_Integer which = lua_tointeger(L, lua_upvalueindex(1));
    const char *path = luaL_checkstring(L, 1);
    int64_t limit = cli_get_integer(L, 2, "limit", INT64_MAX), changed = 0, too_large = 0;
    bool dry_run = cli_get_flag(L, 2, "dry_run");
    struct err err = {0};
    struct cli_store *s;
    struct pick p;
    size_t n = 0;

    lua_settop(L, 3);
    p = cli_get_pick(L, 2);
    s = cli_store_open(L, path, false, &err);
    if (err.code == OK)
        pick_ids(s->db, changes[which].table, &p, 0, (size_t)limit, &s->ids, &n, &err);
    if (dry_run)
        changed = (int64_t)n;
    else
        changed = run_batches(L, s, n, changes[which].fn, &too_large, &err);
    cli_store_close(s);
    if (err.code != OK && changed > 0)
        err_prefix(&err, "stopped after %lld", (long long)changed);
    if (err.code != OK)
        return cli_push_error(L, &err);
    lua_pushinteger(L, changed);
    lua_pushinteger(L, too_large);
    return 2;
}

/* Pushes what holds the list. A header without a value goes. */
static void get_headers(lua_State *L, int table, struct letter_edit *edit)
{
    struct header_edit *list;
    int at;

    if (lua_getfield(L, table, "headers") == LUA_TNIL)
        return;
    luaL_checktype(L, -1, LUA_TTABLE);
    at = lua_gettop(L);
    edit->n_headers = (size_t)luaL_len(L, at);
    list = lua_newuserdatauv(L, (edit->n_headers + 1) * sizeof *list, 0);
    for (size_t i = 0; i < edit->n_headers; i++) {
        lua_rawgeti(L, at, (lua_Integer)i + 1);
        luaL_checktype(L, -1, LUA_TTABLE);
        list[i].name = cli_get_slice(L, lua_gettop(L), "name");
        list[i].value = cli_get_slice(L, lua_gettop(L), "value");
        lua_pop(L, 1);
    }
    edit->headers = list;
}

/* dead_edit(path, id, {type, key1.., body, headers = {{name, value}, ..}}, dry_run) -> true,
 * or nil, kind, why */
static int edit_letter(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    int64_t id = luaL_checkinteger(L, 2);
    bool dry_run = lua_toboolean(L, 4) != 0;
    struct letter_edit edit = {.n_headers = 0};
    struct err err = {0};
    struct cli_store *s;

    luaL_checktype(L, 3, LUA_TTABLE);
    edit.type = cli_get_slice(L, 3, "type");
    edit.key[0] = cli_get_slice(L, 3, "key1");
    edit.key[1] = cli_get_slice(L, 3, "key2");
    edit.key[2] = cli_get_slice(L, 3, "key3");
    edit.body = cli_get_slice(L, 3, "body");
    get_headers(L, 3, &edit);
    s = cli_store_open(L, path, false, &err);
    if (err.code == OK)
        letter_edit(s->db, id, &edit, dry_run, &err);
    if (err.code == ERR_NOT_FOUND && s->db != NULL) /* else it is the store itself */
        err_set(&err, ERR_NOT_FOUND,
                "no dead letter %lld: `herald dead list` shows those there are", (long long)id);
    cli_store_close(s);
    if (err.code != OK)
        return cli_push_error(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

void cli_add_changes(lua_State *L)
{
    for (lua_Integer i = 0; i < CHANGES; i++) {
        lua_pushinteger(L, i);
        lua_pushcclosure(L, change, 1);
        lua_setfield(L, -2, changes[i].name);
    }
    lua_pushcfunction(L, edit_letter);
    lua_setfield(L, -2, "dead_edit");
}
