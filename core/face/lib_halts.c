/* lib_halts - herald.core for the command line: what an operator has paused (store/halt.h) */
#include "face/cli_store.h"
#include "script/convert.h"
#include "store/halt.h"

#include <lauxlib.h>

/* Of the list on top of the stack; may raise. */
static bool push_halt(void *arg, struct slice queue, int64_t since_ms)
{
    lua_State *L = arg;

    lua_newtable(L);
    convert_set_slice(L, "queue", queue);
    convert_set_integer(L, "since", since_ms);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    return true;
}

/* halts(path) -> list of {queue, since}; one without a queue is publishing. Or nil, kind, why. */
static int halts(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct err err = {0};
    struct cli_store *s = cli_store_open(L, path, false, &err);

    lua_newtable(L);
    if (err.code == OK)
        halt_list(s->db, push_halt, L, &err);
    cli_store_close(s);
    return err.code == OK ? 1 : cli_push_error(L, &err);
}

/* halt(path, queue, on) -> whether that changed anything, or nil, kind, why. A nil queue is
 * publishing. */
static int halt(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct slice queue = {NULL, 0};
    bool on = lua_toboolean(L, 3) != 0, changed = false;
    const struct clock clock = clock_real();
    struct err err = {0};
    struct cli_store *s;

    queue.data = luaL_optlstring(L, 2, NULL, &queue.len);
    s = cli_store_open(L, path, false, &err);
    if (err.code == OK && on)
        halt_begin(s->db, queue, clock_wall(&clock), &changed, &err);
    else if (err.code == OK)
        halt_end(s->db, queue, &changed, &err);
    cli_store_close(s);
    if (err.code != OK)
        return cli_push_error(L, &err);
    lua_pushboolean(L, changed);
    return 1;
}

void cli_add_halts(lua_State *L)
{
    static const luaL_Reg functions[] = {{"halts", halts}, {"halt", halt}, {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
}
