/* suggest - see suggest.h. */
#include "script/suggest.h"

#include <lauxlib.h>
#include <stdbool.h>

/* Its address is the key of the function in the registry. */
static const char nearest_key = 0;

void suggest_open(lua_State *L)
{
    lua_rawsetp(L, LUA_REGISTRYINDEX, &nearest_key);
}

static void push_list(lua_State *L, const char *const *known, size_t n)
{
    luaL_Buffer b;

    luaL_buffinit(L, &b);
    luaL_addstring(&b, " (known: ");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            luaL_addstring(&b, ", ");
        luaL_addstring(&b, known[i]);
    }
    luaL_addstring(&b, ")");
    luaL_pushresult(&b);
}

/* Pushes the text and returns true, or pushes nothing. */
static bool push_nearest(lua_State *L, const char *name, const char *const *known, size_t n)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &nearest_key);
    lua_pushstring(L, name);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushstring(L, known[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_call(L, 2, 1);
    if (!lua_isstring(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    lua_pushfstring(L, ": did you mean '%s'?", lua_tostring(L, -1));
    lua_remove(L, -2);
    return true;
}

void suggest_push(lua_State *L, const char *name, const char *const *known, size_t n)
{
    if (!push_nearest(L, name, known, n))
        push_list(L, known, n);
}

void suggest_push_nearest(lua_State *L, const char *name, const char *const *known, size_t n)
{
    if (!push_nearest(L, name, known, n))
        lua_pushliteral(L, "");
}
