/* lib_backup - herald.core for the command line: a store copied whole (cli.h) */
#include "face/cli_store.h"
#include "script/convert.h"
#include "store/sqlite/backup.h"

#include <lauxlib.h>

/* backup(path, to, progress) -> bytes, or nil, kind, why. `progress` is called with what is done
 * and how much it is in all. */
static int backup(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1), *to = luaL_checkstring(L, 2);
    struct backup_progress p = {.bytes = 0};
    struct err err = {0};
    struct cli_store *s;
    int more = 1;

    luaL_checktype(L, 3, LUA_TFUNCTION);
    s = cli_store_open_as_it_is(L, path, &err);
    if (err.code == OK)
        backup_open(&s->backup, s->db, to, &err);
    while (err.code == OK && more == 1) {
        more = backup_step(s->backup, &p, &err);
        lua_pushvalue(L, 3);
        lua_pushinteger(L, p.done);
        lua_pushinteger(L, p.bytes);
        lua_call(L, 2, 0); /* an error passes by: the store's userdata closes all */
    }
    cli_store_close(s);
    if (err.code != OK)
        return cli_push_error(L, &err);
    lua_pushinteger(L, p.bytes);
    return 1;
}

void cli_add_backup(lua_State *L)
{
    lua_pushcfunction(L, backup);
    lua_setfield(L, -2, "backup");
}
