/* sandbox - see sandbox.h. */
#include "script/sandbox.h"

#include "script/bounded.h"
#include "script/globals.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

/* Its address is a key in the registry: what files see behind their own globals. */
static const char base_key = 0;

static const struct library {
    const char *name;
    lua_CFunction open;
    const char *allowed; /* NULL: all but `denied` */
    const char *denied;
} libraries[] = {
    {LUA_STRLIBNAME, luaopen_string, NULL, "dump"},
    {LUA_TABLIBNAME, luaopen_table, NULL, NULL},
    {LUA_MATHLIBNAME, luaopen_math, NULL, NULL},
    {LUA_UTF8LIBNAME, luaopen_utf8, NULL, NULL},
    {LUA_COLIBNAME, luaopen_coroutine, NULL, NULL},
    {LUA_OSLIBNAME, luaopen_os, "clock time date difftime", NULL},
};

static const char *const functions[] = {
    "assert",       "error",    "getmetatable", "ipairs",   "next",     "pairs",
    "pcall",        "rawequal", "rawget",       "rawlen",   "rawset",   "select",
    "setmetatable", "tonumber", "type",         "tostring", "_VERSION", "xpcall",
};

/* True when `name` is one of the words of `list`. */
static bool listed(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = strstr(list, name); p != NULL; p = strstr(p + len, name))
        if ((p == list || p[-1] == ' ') && (p[len] == ' ' || p[len] == '\0'))
            return true;
    return false;
}

static bool is_allowed(const struct library *lib, const char *name)
{
    if (lib->allowed != NULL)
        return listed(lib->allowed, name);
    return lib->denied == NULL || !listed(lib->denied, name);
}

/* Takes away what is not allowed; assigning nil during a traversal is permitted. */
static void strip(lua_State *L, const struct library *lib)
{
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        if (is_allowed(lib, lua_tostring(L, -1)))
            continue;
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, -4);
    }
}

static void open_libraries(lua_State *L)
{
    lua_pushcfunction(L, luaopen_base);
    lua_call(L, 0, 0);
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        lua_pushcfunction(L, libraries[i].open);
        lua_call(L, 0, 1);
        strip(L, &libraries[i]);
        lua_setglobal(L, libraries[i].name);
    }
}

/* getmetatable("") says false, so nobody reaches the string library through it. */
static void lock_strings(lua_State *L)
{
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}

static int refuse_write(lua_State *L)
{
    return luaL_error(L, "%s is read-only", lua_tostring(L, lua_upvalueindex(1)));
}

static int next_pair(lua_State *L)
{
    lua_settop(L, 2);
    if (lua_next(L, lua_upvalueindex(1)))
        return 2;
    lua_pushnil(L);
    return 1;
}

/* pairs() over a view walks the table behind it without handing it out. */
static int view_pairs(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, next_pair, 1);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

void sandbox_lock(lua_State *L, const char *what)
{
    lua_newtable(L);
    lua_createtable(L, 0, 5);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushstring(L, what);
    lua_pushcclosure(L, refuse_write, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushvalue(L, -3);
    lua_pushcclosure(L, view_pairs, 1);
    lua_setfield(L, -2, "__pairs");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    bounded_mark_read_only(L);
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
}

void sandbox_open(lua_State *L, lua_CFunction print)
{
    open_libraries(L);
    bounded_install(L);
    lock_strings(L);
    lua_newtable(L);
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        lua_getglobal(L, functions[i]);
        lua_setfield(L, -2, functions[i]);
    }
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        lua_getglobal(L, libraries[i].name);
        sandbox_lock(L, libraries[i].name);
        lua_setfield(L, -2, libraries[i].name);
    }
    lua_pushcfunction(L, print);
    lua_setfield(L, -2, "print");
    globals_watch(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &base_key);
}

bool sandbox_is_library(const char *name)
{
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++)
        if (strcmp(name, libraries[i].name) == 0)
            return true;
    return false;
}

/* Upvalues: the library's load, the file's environment. Text only, and what is loaded
 * lives in the environment of its file unless it is given one. */
static int env_load(lua_State *L)
{
    const char *mode = luaL_optstring(L, 3, "t");
    bool has_env = !lua_isnone(L, 4);

    if (strchr(mode, 't') == NULL)
        return luaL_error(L, "load: rules can load text only, not bytecode");
    lua_settop(L, 4);
    lua_pushliteral(L, "t");
    lua_replace(L, 3);
    if (!has_env) {
        lua_pushvalue(L, lua_upvalueindex(2));
        lua_replace(L, 4);
    }
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

void sandbox_push_env(lua_State *L)
{
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "_G");
    lua_getglobal(L, "load");
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, env_load, 2);
    lua_setfield(L, -2, "load");
    lua_createtable(L, 0, 3);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &base_key);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, globals_assign);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}
