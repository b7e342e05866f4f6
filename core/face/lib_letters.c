/*
 * lib_letters - herald.core for the command line: dead letters (cli.h)
 *
 * These work on the store directly, beside a running router or without one.
 */
#include "base/error_group.h"
#include "face/cli_store.h"
#include "store/letter_edit.h"
#include "store/letters.h"

#include <lauxlib.h>
#include <stdio.h>

/* Letters are copied while the store is read, and pushed afterwards. */
struct copies {
    struct arena *arena;
    struct dead_letter *list; /* `room` of them, in the arena */
    size_t n;
    size_t room;
    bool full; /* memory ran out */
};

static bool copy_letter(void *arg, const struct dead_letter *letter)
{
    struct copies *all = arg;
    struct dead_letter copy = *letter;
    struct slice error = slice_of(letter->error), traceback = slice_of(letter->traceback);
    struct arena *a = all->arena;

    if (all->n == all->room)
        return false;
    if (!message_keep(a, &copy.message) || !arena_keep(a, &copy.queue) ||
        !arena_keep(a, &copy.identity) || !arena_keep(a, &copy.exchange) ||
        !arena_keep(a, &copy.routing_key) || !arena_keep(a, &copy.tries) ||
        !arena_keep(a, &error) || !arena_keep(a, &traceback)) {
        all->full = true;
        return false;
    }
    copy.leg_kind = NULL; /* lent; nobody is shown it */
    copy.error = error.data;
    copy.traceback = traceback.data;
    all->list[all->n++] = copy;
    return true;
}

static const char *side_word(enum dead_side side)
{
    return side == DEAD_INBOX ? "inbox" : "outbox";
}

/* As people see and type it. */
static void set_group(lua_State *L, int64_t group)
{
    char hex[20];

    snprintf(hex, sizeof hex, "%08llx", (unsigned long long)group);
    cli_set_slice(L, "group", slice_of(hex));
}

static void push_letter(lua_State *L, const struct copies *all, size_t i)
{
    const struct dead_letter *l = &all->list[i];

    lua_newtable(L);
    cli_set_integer(L, "id", l->id);
    cli_set_integer(L, "attempts", l->attempts);
    cli_set_integer(L, "generation", l->generation);
    cli_set_integer(L, "at", l->at);
    cli_set_slice(L, "side", slice_of(side_word(l->side)));
    cli_set_slice(L, "queue", l->queue);
    cli_set_slice(L, "message_id", l->message.id.data ? l->message.id : l->identity);
    cli_set_message(L, &l->message);
    cli_set_tries(L, all->arena, l->tries);
    cli_set_slice(L, "exchange", l->exchange);
    cli_set_slice(L, "routing_key", l->routing_key);
    cli_set_slice(L, "error", slice_of(l->error));
    cli_set_slice(L, "traceback", slice_of(l->traceback));
    set_group(L, error_group(side_word(l->side), l->queue, slice_of(l->error)));
}

/* Opens, makes room for copies, and leaves the store on the stack. */
static struct cli_store *open_room(lua_State *L, const char *path, size_t room, struct copies *all,
                                   struct err *err)
{
    struct cli_store *s = cli_store_open(L, path, false, err);

    *all = (struct copies){.arena = &s->arena, .room = room};
    if (err->code == OK)
        all->list = arena_take(&s->arena, room * sizeof *all->list);
    if (err->code == OK && all->list == NULL)
        err_set(err, ERR_NOMEM, "out of memory: use a smaller --limit");
    return s;
}

/* dead_list(path, pick) -> list of letters, or nil, kind, why. `pick` as in cli_store.h,
 * with after and limit. */
static int list_letters(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct pick p = cli_get_pick(L, 2);
    int64_t after = cli_get_integer(L, 2, "after", 0);
    size_t limit = (size_t)cli_get_integer(L, 2, "limit", 100);
    struct err err = {0};
    struct copies all;
    struct cli_store *s = open_room(L, path, limit, &all, &err);

    if (err.code == OK)
        letters_list(s->db, &p, after, limit, copy_letter, &all, &err);
    if (err.code == OK && all.full)
        err_set(&err, ERR_LIMIT, "these letters take over 512 MiB: use a smaller --limit");
    db_close(&s->db);
    if (err.code != OK)
        return cli_push_error(L, &err);
    lua_createtable(L, (int)all.n, 0);
    for (size_t i = 0; i < all.n; i++) {
        push_letter(L, &all, i);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* Before the store is closed: what was not found may be the store itself. */
static void no_letter(const struct cli_store *s, int64_t id, struct err *err)
{
    if (err->code == ERR_NOT_FOUND && s->db != NULL)
        err_set(err, ERR_NOT_FOUND, "no dead letter %lld: `herald dead list` shows those there are",
                (long long)id);
}

/* dead_get(path, id) -> the letter, or nil, kind, why */
static int get_letter(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    int64_t id = luaL_checkinteger(L, 2);
    struct err err = {0};
    struct copies all;
    struct cli_store *s = open_room(L, path, 1, &all, &err);

    if (err.code == OK)
        dead_get(s->db, id, copy_letter, &all, &err);
    no_letter(s, id, &err);
    if (err.code == OK && all.n == 0)
        err_set(&err, ERR_NOMEM, "out of memory");
    db_close(&s->db);
    if (err.code != OK)
        return cli_push_error(L, &err);
    push_letter(L, &all, 0);
    return 1;
}

/* Groups, copied in the same way. */
struct group_copies {
    struct arena *arena;
    struct letter_group *list;
    size_t n;
    bool full;
};

static bool copy_group(void *arg, const struct letter_group *group)
{
    struct group_copies *all = arg;
    struct letter_group copy = *group;

    if (!arena_keep(all->arena, &copy.side) || !arena_keep(all->arena, &copy.queue) ||
        !arena_keep(all->arena, &copy.error)) {
        all->full = true;
        return false;
    }
    all->list[all->n++] = copy;
    return true;
}

static void push_group(lua_State *L, const struct letter_group *g)
{
    lua_newtable(L);
    set_group(L, g->id);
    cli_set_integer(L, "count", g->count);
    cli_set_integer(L, "first_at", g->first_at);
    cli_set_integer(L, "last_at", g->last_at);
    cli_set_slice(L, "side", g->side);
    if (g->queue.len > 0)
        cli_set_slice(L, "queue", g->queue);
    cli_set_slice(L, "error", g->error);
}

/* dead_groups(path, limit) -> list of groups, the largest first, or nil, kind, why */
static int list_groups(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    size_t limit = (size_t)luaL_checkinteger(L, 2);
    struct err err = {0};
    struct cli_store *s = cli_store_open(L, path, false, &err);
    struct group_copies all = {.arena = &s->arena};

    if (err.code == OK)
        all.list = arena_take(&s->arena, limit * sizeof *all.list);
    if (err.code == OK && all.list == NULL)
        err_set(&err, ERR_NOMEM, "out of memory: use a smaller --limit");
    if (err.code == OK)
        letters_groups(s->db, limit, copy_group, &all, &err);
    if (err.code == OK && all.full)
        err_set(&err, ERR_LIMIT, "these groups take over 512 MiB: use a smaller --limit");
    db_close(&s->db);
    if (err.code != OK)
        return cli_push_error(L, &err);
    lua_createtable(L, (int)all.n, 0);
    for (size_t i = 0; i < all.n; i++) {
        push_group(L, &all.list[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int replay_letters(lua_State *L)
{
    return cli_change(L, PICK_DEAD, letter_replay);
}

static int drop_letters(lua_State *L)
{
    return cli_change(L, PICK_DEAD, letter_drop);
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
    no_letter(s, id, &err);
    db_close(&s->db);
    if (err.code != OK)
        return cli_push_error(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

void cli_add_letters(lua_State *L)
{
    static const luaL_Reg functions[] = {{"dead_list", list_letters},
                                         {"dead_get", get_letter},
                                         {"dead_groups", list_groups},
                                         {"dead_replay", replay_letters},
                                         {"dead_drop", drop_letters},
                                         {"dead_edit", edit_letter},
                                         {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
}
