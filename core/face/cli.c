/* cli - see cli.h. */
#include "face/cli.h"

#include "script/builtin.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

struct words {
    int argc;
    char **argv;
    int code; /* exit code, once the command has run */
};

static const char *kind_of(int code)
{
    switch (code) {
    case ERR_CONFIG:
        return "config";
    case ERR_NOT_FOUND:
        return "missing";
    case ERR_INPUT:
        return "input";
    case ERR_BUSY:
        return "busy";
    default:
        return "failed";
    }
}

int cli_push_error(lua_State *L, const struct err *err)
{
    lua_pushnil(L);
    lua_pushstring(L, kind_of(err->code));
    lua_pushstring(L, err->text);
    return 3;
}

int cli_protect(lua_State *L, lua_CFunction fn, void *arg, struct err *err)
{
    const char *why;

    if (!lua_checkstack(L, 3))
        return err_set(err, ERR_NOMEM, "out of memory");
    lua_pushcfunction(L, fn);
    lua_pushlightuserdata(L, arg);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK)
        return OK;
    why = lua_tostring(L, -1);
    err_set(err, ERR_CONFIG, "%s", why ? why : "unknown error");
    lua_pop(L, 1);
    return ERR_CONFIG;
}

static int free_buf(lua_State *L)
{
    buf_free(lua_touserdata(L, 1));
    return 0;
}

struct buf *cli_push_buf(lua_State *L, size_t max)
{
    struct buf *b = lua_newuserdatauv(L, sizeof *b, 0);

    buf_init(b, max);
    if (luaL_newmetatable(L, "herald.cli.buf")) {
        lua_pushcfunction(L, free_buf);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return b;
}

int cli_open_core(lua_State *L)
{
    lua_newtable(L);
    cli_add_system(L);
    cli_add_store(L);
    cli_add_router(L);
    cli_add_check(L);
    cli_add_testing(L);
    cli_add_survey(L);
    cli_add_files(L);
    return 1;
}

int cli_search_embedded(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const struct embedded *module = embedded_find(name);
    char chunk[128];

    if (module == NULL) {
        lua_pushfstring(L, "no module '%s' in the binary", name);
        return 1;
    }
    snprintf(chunk, sizeof chunk, "=%s", name);
    if (luaL_loadbufferx(L, module->bytes, module->len, chunk, "t") != LUA_OK)
        return lua_error(L);
    return 1;
}

/* Modules come from the binary alone: what lies on the machine must not change what
 * the command line does. */
static void use_embedded_modules(lua_State *L)
{
    luaL_requiref(L, "herald.core", cli_open_core, 0);
    lua_pop(L, 1);
    lua_getglobal(L, "package");
    lua_createtable(L, 1, 0);
    lua_pushcfunction(L, cli_search_embedded);
    lua_rawseti(L, -2, 1);
    lua_setfield(L, -2, "searchers");
    lua_pop(L, 1);
}

void cli_open_libraries(lua_State *L)
{
    luaL_openlibs(L);
}

static void push_words(lua_State *L, const struct words *w)
{
    lua_createtable(L, w->argc, 1);
    for (int i = 0; i < w->argc; i++) {
        lua_pushstring(L, w->argv[i]);
        lua_rawseti(L, -2, i);
    }
    lua_setglobal(L, "arg");
}

/* Runs behind the lua_pcall of cli_main. */
static int run_main(lua_State *L)
{
    struct words *w = lua_touserdata(L, 1);

    cli_open_libraries(L);
    use_embedded_modules(L);
    push_words(L, w);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "cli.main");
    lua_call(L, 1, 1);
    w->code = (int)lua_tointeger(L, -1);
    return 0;
}

int cli_main(int argc, char **argv)
{
    struct words words = {.argc = argc, .argv = argv, .code = 1};
    lua_State *L = luaL_newstate();

    if (L == NULL) {
        fputs("herald: out of memory\n", stderr);
        return 1;
    }
    lua_pushcfunction(L, run_main);
    lua_pushlightuserdata(L, &words);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        const char *why = lua_tostring(L, -1);

        fprintf(stderr, "herald: internal error: %s\n", why ? why : "unknown");
        words.code = 1;
    }
    lua_close(L);
    if (fflush(stdout) != 0) {
        fputs("herald: cannot write to standard output\n", stderr);
        return 1;
    }
    return words.code;
}
