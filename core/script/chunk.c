/* chunk - see chunk.h. */
#include "script/chunk.h"

#include <lauxlib.h>
#include <string.h>

void chunk_push(lua_State *L, const struct source *f)
{
    struct slice code = source_code(f);

    if (luaL_loadbufferx(L, code.data, code.len, f->chunk, "t") == LUA_OK)
        return;
    if (strstr(luaL_tolstring(L, -1, NULL), "near '<\\") != NULL) /* a byte that is no ASCII */
        lua_pushliteral(L, ": names are made of ASCII letters, digits and _; other text stands in "
                           "quotes");
    else
        lua_pushliteral(L, "");
    lua_concat(L, 2);
    lua_error(L);
}
