/* lib_lanes - herald.core for the command line: lanes that wait (cli.h). */
#include "face/cli_store.h"
#include "store/lane.h"

#include <lauxlib.h>

/* Copied while the store is read, and pushed afterwards. */
struct copies {
    struct arena *arena;
    struct lane_view *list; /* `room` of them, in the arena */
    size_t n;
    size_t room;
    bool full; /* memory ran out */
};

static bool copy_lane(void *arg, const struct lane_view *lane)
{
    struct copies *all = arg;
    struct lane_view *copy = &all->list[all->n];

    if (all->n == all->room)
        return false;
    *copy = *lane;
    all->full = !arena_keep(all->arena, &copy->queue) || !arena_keep(all->arena, &copy->lane) ||
                !arena_keep(all->arena, &copy->error);
    all->n += all->full ? 0 : 1;
    return !all->full;
}

static void push_lane(lua_State *L, const struct lane_view *l)
{
    static const char *const heads[] = {
        [LANE_RETRY] = "retry", [LANE_LETTER] = "dead", [LANE_ROW] = "outbox"};

    lua_newtable(L);
    cli_set_slice(L, "head", slice_of(heads[l->kind]));
    cli_set_integer(L, "id", l->id);
    cli_set_slice(L, "queue", l->queue);
    cli_set_slice(L, "lane", l->lane);
    cli_set_integer(L, "waiting", l->waiting);
    cli_set_integer(L, "due_at", l->due_at);
    cli_set_integer(L, "attempts", l->attempts);
    cli_set_slice(L, "error", l->error);
}

/* lanes_list(path, limit of each kind) -> list of lanes, or nil, kind, why */
static int list_lanes(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    size_t limit = (size_t)luaL_checkinteger(L, 2);
    struct err err = {0};
    struct cli_store *s = cli_store_open(L, path, false, &err);
    struct copies all = {.arena = &s->arena, .room = limit * LANE_HEADS};

    if (err.code == OK)
        all.list = arena_take(&s->arena, all.room * sizeof *all.list);
    if (err.code == OK && all.list == NULL)
        err_set(&err, ERR_NOMEM, "out of memory: use a smaller --limit");
    if (err.code == OK)
        lane_list(s->db, limit, copy_lane, &all, &err);
    if (err.code == OK && all.full)
        err_set(&err, ERR_LIMIT, "these lanes take over 512 MiB: use a smaller --limit");
    db_close(&s->db);
    if (err.code != OK)
        return cli_push_error(L, &err);
    lua_createtable(L, (int)all.n, 0);
    for (size_t i = 0; i < all.n; i++) {
        push_lane(L, &all.list[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int release_retry(lua_State *L)
{
    return cli_change(L, PICK_RETRY, lane_release_retry);
}

static int release_letter(lua_State *L)
{
    return cli_change(L, PICK_DEAD, lane_release_letter);
}

static int release_row(lua_State *L)
{
    return cli_change(L, PICK_OUTBOX, lane_release_row);
}

void cli_add_lanes(lua_State *L)
{
    static const luaL_Reg functions[] = {{"lanes_list", list_lanes},
                                         {"lanes_release_retry", release_retry},
                                         {"lanes_release_letter", release_letter},
                                         {"lanes_release_row", release_row},
                                         {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
}
