/*
 * specs - busted in a Lua state that has herald.core as the command line has it
 *
 *   specs [FILE OR FOLDER ...] [OPTIONS OF BUSTED]
 *
 * What C does is the binary's own, under the same sanitizers. The Lua around it is read from the
 * tree, so that no build comes between a change of scripts/ or tests/spec/ and its specs.
 */
#include "face/cli.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

struct words {
    int argc;
    char **argv;
    int code; /* exit code, once busted has run */
};

static const char busted[] =
    "package.path = [[" HERALD_SOURCE "/scripts/?.lua;" HERALD_SOURCE "/tests/spec/?.lua;]]"
    " .. package.path\n"
    "return require 'herald.testing.run' { ... }";

/* Under cli_protect. */
static int run_busted(lua_State *L)
{
    struct words *w = lua_touserdata(L, 1);

    cli_open_libraries(L);
    luaL_requiref(L, "herald.core", cli_open_core, 0);
    luaL_checkstack(L, w->argc + 1, "too many words");
    if (luaL_loadstring(L, busted) != LUA_OK)
        return lua_error(L);
    for (int i = 1; i < w->argc; i++)
        lua_pushstring(L, w->argv[i]);
    lua_call(L, w->argc - 1, 1);
    w->code = (int)luaL_checkinteger(L, -1);
    return 0;
}

int main(int argc, char **argv)
{
    struct words words = {.argc = argc, .argv = argv, .code = 1};
    struct err err = {0};
    lua_State *L = luaL_newstate();

    if (L == NULL || setenv("HERALD", HERALD_BINARY, 0) != 0) {
        fputs("specs: out of memory\n", stderr);
        return 1;
    }
    if (cli_protect(L, run_busted, &words, &err) != OK)
        fprintf(stderr, "specs: %s\n", err.text);
    lua_close(L);
    return words.code;
}
