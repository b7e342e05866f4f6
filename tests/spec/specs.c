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

static void look_in_tree(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_pushliteral(L, HERALD_SOURCE "/scripts/?.lua;" HERALD_SOURCE "/tests/spec/?.lua;");
    lua_getfield(L, -2, "path");
    lua_concat(L, 2);
    lua_setfield(L, -2, "path");
    lua_pop(L, 1);
}

/* Under cli_protect. */
static int run_busted(lua_State *L)
{
    struct words *w = lua_touserdata(L, 1);

    cli_open_libraries(L);
    luaL_requiref(L, "herald.core", cli_open_core, 0);
    look_in_tree(L);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "herald.testing.run");
    lua_call(L, 1, 1);
    lua_createtable(L, w->argc, 0);
    for (int i = 1; i < w->argc; i++) {
        lua_pushstring(L, w->argv[i]);
        lua_rawseti(L, -2, i);
    }
    lua_call(L, 1, 1);
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
