/* globals - see globals.h. */
#include "script/globals.h"

#include "script/script_int.h"
#include "script/suggest.h"

#include <lauxlib.h>
#include <string.h>

enum { KNOWN_MAX = 512, TABLE = 1, NAME = 2 };

/* What people write because they know it from elsewhere. */
static const struct {
    const char *name, *words;
} missed[] = {
    {"herald", "write local herald = require \"herald\" at the top of the file"},
    {"io", "rules have no files: what a handler does is its SQL and its emits"},
    {"debug", "it is not available to rules"},
    {"package", "modules come from the router's lib/ folder: require \"lib.money\""},
    {"dofile", "write require \"lib.money\" for lib/money.lua"},
    {"loadfile", "write require \"lib.money\" for lib/money.lua"},
    {"loadstring", "it is load in Lua 5.4"},
    {"unpack", "it is table.unpack in Lua 5.4"},
    {"setfenv", "Lua 5.4 has none"},
    {"getfenv", "Lua 5.4 has none"},
    {"collectgarbage", "the collector runs by itself, between turns"},
    {"null", "write herald.null"},
    {"msg", "it is the first parameter of a handler: function(msg, tx)"},
    {"tx", "it is the second parameter of a handler: function(msg, tx)"},
};

/* Adds the names in the table at `index`; their bytes are lent by it. */
static size_t add_names(lua_State *L, int index, const char **known, size_t n)
{
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (n < KNOWN_MAX && lua_type(L, -1) == LUA_TSTRING)
            known[n++] = lua_tostring(L, -1);
    }
    return n;
}

/* Pushes the environment of the Lua function that is reading; false: it cannot be told. */
static bool push_env(lua_State *L)
{
    lua_Debug ar;
    const char *name;

    if (!lua_getstack(L, 1, &ar) || !lua_getinfo(L, "f", &ar))
        return false;
    for (int i = 1; (name = lua_getupvalue(L, -1, i)) != NULL; i++) {
        if (strcmp(name, "_ENV") == 0 && lua_istable(L, -1)) {
            lua_remove(L, -2);
            return true;
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return false;
}

/* Lua: __index of what stands behind the environments. */
static int undefined_global(lua_State *L)
{
    const char *known[KNOWN_MAX], *name = luaL_tolstring(L, NAME, NULL);
    size_t n;

    for (size_t i = 0; i < sizeof missed / sizeof missed[0]; i++)
        if (strcmp(missed[i].name, name) == 0)
            return luaL_error(L, "undefined global '%s': %s", name, missed[i].words);
    n = add_names(L, TABLE, known, 0);
    if (push_env(L))
        n = add_names(L, lua_gettop(L), known, n);
    suggest_push_nearest(L, name, known, n);
    return luaL_error(L, "undefined global '%s'%s", name, lua_tostring(L, -1));
}

/* Lua: __index of a module's table; upvalue 1: its name. */
static int unknown_field(lua_State *L)
{
    const char *known[KNOWN_MAX], *name = luaL_tolstring(L, NAME, NULL);
    size_t n = add_names(L, TABLE, known, 0);

    suggest_push_nearest(L, name, known, n);
    return luaL_error(L, "%s has no '%s'%s", lua_tostring(L, lua_upvalueindex(1)), name,
                      lua_tostring(L, -1));
}

/* Makes the function on top the __index of the table below it. */
static void set_index(lua_State *L)
{
    lua_createtable(L, 0, 1);
    lua_insert(L, -2);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

void globals_watch(lua_State *L)
{
    lua_pushcfunction(L, undefined_global);
    set_index(L);
}

void globals_watch_fields(lua_State *L, const char *what)
{
    lua_pushstring(L, what);
    lua_pushcclosure(L, unknown_field, 1);
    set_index(L);
}

/* A module may be required for the first time by a handler: its file's own code, too,
 * makes globals. */
static bool may_assign(lua_State *L)
{
    const struct script *s = script_of(L);
    lua_Debug ar;

    if (s->loading != NULL)
        return true;
    return lua_getstack(L, 1, &ar) && lua_getinfo(L, "S", &ar) && *ar.what == 'm' &&
           sources_find(&s->sources, ar.source) != NULL; /* and not what load() made */
}

int globals_assign(lua_State *L)
{
    if (!may_assign(L)) {
        const char *name = luaL_tolstring(L, NAME, NULL);

        return luaL_error(L, "a handler cannot make the global '%s': write local %s = ...", name,
                          name);
    }
    lua_settop(L, 3);
    lua_rawset(L, 1);
    return 0;
}
