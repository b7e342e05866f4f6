/*
 * lib_history - herald.core for the command line: settled messages (cli.h)
 *
 * Listed without their bodies, so what a listing takes is bounded by --limit.
 */
#include "face/cli_store.h"
#include "store/history.h"

#include <lauxlib.h>

/* Rows are copied while the store is read, and pushed afterwards. */
struct copies {
    struct arena *arena;
    struct history_row *list;
    size_t n;
    bool bodies; /* are copied, too */
    bool full;   /* memory ran out */
};

static bool copy_row(void *arg, const struct history_row *row)
{
    struct copies *all = arg;
    struct history_row *copy = &all->list[all->n];
    struct arena *a = all->arena;

    *copy = *row;
    if (!all->bodies)
        copy->message.body = (struct slice){NULL, 0};
    all->full = !message_keep(a, &copy->message) || !arena_keep(a, &copy->side) ||
                !arena_keep(a, &copy->outcome) || !arena_keep(a, &copy->queue) ||
                !arena_keep(a, &copy->exchange) || !arena_keep(a, &copy->routing_key);
    all->n += all->full ? 0 : 1;
    return !all->full;
}

static void push_row(lua_State *L, const struct history_row *r)
{
    lua_newtable(L);
    cli_set_integer(L, "id", r->id);
    cli_set_integer(L, "at", r->at);
    cli_set_integer(L, "attempts", r->attempts);
    cli_set_integer(L, "generation", r->generation);
    cli_set_slice(L, "side", r->side);
    cli_set_slice(L, "outcome", r->outcome);
    cli_set_slice(L, "queue", r->queue);
    cli_set_slice(L, "message_id", r->message.id);
    cli_set_message(L, &r->message);
    cli_set_slice(L, "exchange", r->exchange);
    cli_set_slice(L, "routing_key", r->routing_key);
}

static void make_room(struct cli_store *s, size_t room, struct copies *all, struct err *err)
{
    all->arena = &s->arena;
    all->list = arena_take(&s->arena, room * sizeof *all->list);
    if (all->list == NULL)
        err_set(err, ERR_NOMEM, "out of memory: use a smaller --limit");
}

/* history_list(path, pick) -> list of rows, the newest first, or nil, kind, why. `pick` as in
 * cli_store.h, with after, limit, since_ms and before_ms (ms since 1970 UTC). */
static int list_rows(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct pick p = cli_get_pick(L, 2);
    int64_t after = cli_get_integer(L, 2, "after", 0);
    size_t limit = (size_t)cli_get_integer(L, 2, "limit", 100);
    struct err err = {0};
    struct copies all = {.bodies = false};
    struct cli_store *s = cli_store_open(L, path, false, &err);

    p.since_ms = cli_get_integer(L, 2, "since_ms", 0);
    p.before_ms = cli_get_integer(L, 2, "before_ms", 0);
    if (err.code == OK)
        make_room(s, limit, &all, &err);
    if (err.code == OK)
        history_list(s->db, &p, after, limit, copy_row, &all, &err);
    if (err.code == OK && all.full)
        err_set(&err, ERR_LIMIT, "these rows take over 512 MiB: use a smaller --limit");
    db_close(&s->db);
    if (err.code != OK)
        return cli_push_error(L, &err);
    lua_createtable(L, (int)all.n, 0);
    for (size_t i = 0; i < all.n; i++) {
        push_row(L, &all.list[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* history_get(path, id) -> the row with its body, or nil, kind, why */
static int get_row(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    int64_t id = luaL_checkinteger(L, 2);
    struct err err = {0};
    struct copies all = {.bodies = true};
    struct cli_store *s = cli_store_open(L, path, false, &err);

    if (err.code == OK)
        make_room(s, 1, &all, &err);
    if (err.code == OK && history_get(s->db, id, copy_row, &all, &err) == ERR_NOT_FOUND)
        err_set(&err, ERR_NOT_FOUND,
                "no message %lld in the history: `herald history list` shows those there are",
                (long long)id);
    if (err.code == OK && all.full)
        err_set(&err, ERR_NOMEM, "out of memory");
    db_close(&s->db);
    if (err.code != OK)
        return cli_push_error(L, &err);
    push_row(L, &all.list[0]);
    return 1;
}

void cli_add_history(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"history_list", list_rows}, {"history_get", get_row}, {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
}
