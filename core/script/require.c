/* require - see require.h. */
#include "script/require.h"

#include "script/chunk.h"
#include "script/sandbox.h"
#include "script/script_int.h"
#include "script/suggest.h"

#include <lauxlib.h>
#include <string.h>

/* Its address is a key in the registry: "herald", or a chunk's name, to the module. */
static const char modules_key = 0;

#define ARROW " -> "

enum { SIMILAR_MAX = 100 };

void require_open(lua_State *L)
{
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &modules_key);
}

void require_provide(lua_State *L, const char *name)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &modules_key);
    lua_insert(L, -2);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

/* Pushes "@learning/lib/money.lua" for "lib.money". */
static const char *push_chunk(lua_State *L, const char *prefix, const char *name)
{
    luaL_Buffer b;

    luaL_buffinit(L, &b);
    luaL_addchar(&b, '@');
    luaL_addstring(&b, prefix);
    for (const char *p = name; *p != '\0'; p++)
        luaL_addchar(&b, *p == '.' ? '/' : *p);
    luaL_addstring(&b, ".lua");
    luaL_pushresult(&b);
    return lua_tostring(L, -1);
}

/* RAISES when the module is being loaded already. `chain`: "lib.a -> lib.b". */
static void check_cycle(lua_State *L, const char *chain, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = chain; *p != '\0'; p += strcspn(p, " ")) {
        p += *p == ' ' ? strlen(ARROW) : 0;
        if (strncmp(p, name, len) == 0 && (p[len] == ' ' || p[len] == '\0'))
            luaL_error(L, "a cycle of requires: %s" ARROW "%s", p, name);
    }
}

/* "lib.money", "lib.shop.money": what push_chunk makes a path of, one path for each. */
static bool is_module_name(const char *name)
{
    if (strncmp(name, "lib.", 4) != 0 || name[strlen(name) - 1] == '.')
        return false;
    return strstr(name, "..") == NULL && name[strcspn(name, "/\\")] == '\0';
}

/* Pushes ": did you mean 'lib.money'?", or "". */
static void push_similar(lua_State *L, const char *name, const char *prefix)
{
    const struct sources *all = &script_of(L)->sources;
    const char *known[SIMILAR_MAX];
    size_t n = 0, skip = strlen(prefix);

    luaL_checkstack(L, SIMILAR_MAX + 8, NULL);
    for (size_t i = 0; i < all->n && n < SIMILAR_MAX; i++) {
        const struct source *f = &all->files[i];
        size_t len = strlen(f->chunk) - strlen("@.lua");

        if (!f->module ||
            (f->prefix > 0 && (f->prefix != skip || strncmp(f->chunk + 1, prefix, skip) != 0)))
            continue;
        lua_pushlstring(L, f->chunk + 1 + f->prefix, len - f->prefix);
        known[n++] = luaL_gsub(L, lua_tostring(L, -1), "/", ".");
        lua_remove(L, -2);
    }
    suggest_push_nearest(L, name, known, n);
}

/* RAISES: says which files were looked for. */
static void fail_to_find(lua_State *L, const char *name, const char *prefix)
{
    const char *own = push_chunk(L, prefix, name) + 1, *shared = push_chunk(L, "", name) + 1;

    push_similar(L, name, prefix);
    luaL_error(L, "no module '%s': there is no file %s%s%s%s", name, own, *prefix ? " or " : "",
               *prefix ? shared : "", lua_tostring(L, -1));
}

/* A folder's own module, or else the one that is shared. */
static const struct source *find(lua_State *L, const char *name, const char *prefix)
{
    const struct sources *all = &script_of(L)->sources;
    const struct source *f = NULL;

    if (is_module_name(name)) {
        f = sources_find(all, push_chunk(L, prefix, name));
        if (f == NULL)
            f = sources_find(all, push_chunk(L, "", name));
        lua_settop(L, 2);
    }
    if (f != NULL)
        return f;
    if (sandbox_is_library(name))
        luaL_error(L, "'%s' needs no require: it is there already", name);
    if (is_module_name(name))
        fail_to_find(L, name, prefix);
    luaL_error(L,
               "cannot require '%s': rules can require \"herald\" and modules of the router's "
               "lib/ folder, such as require \"lib.money\" for lib/money.lua",
               name);
    return NULL;
}

/* Pushes what the file returns; true when it returns nothing, as in Lua. What it requires is
 * looked for beside itself, whoever comes first to require it. */
static void run(lua_State *L, const struct source *f, const char *chain)
{
    chunk_push(L, f);
    lua_pushlstring(L, f->chunk + 1, f->prefix);
    require_push_env(L, lua_tostring(L, -1), chain);
    lua_remove(L, -2);
    lua_setupvalue(L, -2, 1);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
    }
}

/* Upvalues: the prefix, and the modules whose loading led here. */
static int require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const char *prefix = lua_tostring(L, lua_upvalueindex(1));
    const char *chain = lua_tostring(L, lua_upvalueindex(2));
    const struct source *f;

    REQUIRE(prefix != NULL && chain != NULL);
    lua_settop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &modules_key);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, 2) != LUA_TNIL)
        return 1;
    f = find(L, name, prefix);
    REQUIRE(f != NULL); /* or find has raised */
    if (lua_getfield(L, 2, f->chunk) != LUA_TNIL)
        return 1;
    if (f->prefix != strlen(prefix))
        chain = ""; /* what is shared requires nothing of a folder: no cycle leads back */
    check_cycle(L, chain, name);
    run(L, f, lua_pushfstring(L, "%s%s%s", chain, *chain ? ARROW : "", name));
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, f->chunk);
    return 1;
}

void require_push_env(lua_State *L, const char *prefix, const char *chain)
{
    sandbox_push_env(L);
    lua_pushliteral(L, "require");
    lua_pushstring(L, prefix);
    lua_pushstring(L, chain);
    lua_pushcclosure(L, require, 2);
    lua_rawset(L, -3);
}
