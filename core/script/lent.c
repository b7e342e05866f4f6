/* lent - see lent.h. */
#include "script/lent.h"

#include <lauxlib.h>

void lent_open(lua_State *L, const char *class_name, lua_CFunction index, lua_CFunction newindex,
               lua_CFunction tostring)
{
    luaL_newmetatable(L, class_name);
    lua_insert(L, -2);
    lua_pushcclosure(L, index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

struct lent *lent_push(lua_State *L, const char *class_name, int user_values)
{
    struct lent *l = lua_newuserdatauv(L, sizeof *l, user_values);

    l->serial = script_of(L)->call.serial;
    luaL_setmetatable(L, class_name);
    return l;
}

bool lent_alive(const struct script *s, const struct lent *l)
{
    return s->call.message != NULL && l->serial == s->call.serial;
}

struct script *lent_check(lua_State *L, int index, const char *class_name, const char *what)
{
    const struct lent *l = luaL_checkudata(L, index, class_name);
    struct script *s = script_of(L);

    if (!lent_alive(s, l))
        luaL_error(L, "%s used after its handler returned", what);
    return s;
}
