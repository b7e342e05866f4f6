/* lib_router - herald.core for the command line: run, and asking one that runs (cli.h). */
#include "base/json.h"
#include "face/cli.h"
#include "face/control.h"
#include "face/router.h"
#include "rabbit/rabbit.h"
#include "script/decode.h"
#include "store/sqlite/db.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* Where the function that reads the settings again is kept. */
#define REREAD "herald.reread"
/* Where an answer is kept until it is handed over. */
#define ANSWER "herald.answer"

enum { ASK_TIMEOUT_MS = 2000, ANSWER_MAX = 1024 * 1024 };

/* What a reload reads the settings with. */
struct rereading {
    lua_State *L;
    struct settings *out;
    char *restart; /* ROUTER_RESTART_MAX bytes */
};

/* Runs under cli_protect: settings.reread() -> the settings as they are now, or nil, why. */
static int run_reread(lua_State *L)
{
    const struct rereading *what = lua_touserdata(L, 1);

    lua_getfield(L, LUA_REGISTRYINDEX, REREAD);
    lua_call(L, 0, 2);
    if (lua_isnil(L, -2))
        return lua_error(L); /* why is on top */
    lua_pop(L, 1);
    cli_read_settings(L, lua_gettop(L), what->out);
    lua_getfield(L, -1, "restart");
    snprintf(what->restart, ROUTER_RESTART_MAX, "%s", luaL_checkstring(L, -1));
    return 0;
}

/* A router_reread_fn. Texts are lent for as long as Lua keeps the table: none of a live setting
 * is one. */
static int reread(void *arg, struct settings *out, char restart[ROUTER_RESTART_MAX],
                  struct err *err)
{
    struct rereading what = {.L = arg, .out = out, .restart = restart};

    return cli_protect(arg, run_reread, &what, err);
}

/* run(settings) -> true, or nil, kind, why. settings.reread is asked at each reload. */
static int run(lua_State *L)
{
    struct router_start start = {.reread = reread, .reread_arg = L};
    struct err err = {0};

    luaL_checktype(L, 1, LUA_TTABLE);
    cli_read_settings(L, 1, &start.settings);
    lua_getfield(L, 1, "until_idle");
    start.until_idle = lua_toboolean(L, -1) != 0;
    lua_getfield(L, 1, "reread");
    luaL_checktype(L, -1, LUA_TFUNCTION);
    lua_setfield(L, LUA_REGISTRYINDEX, REREAD);
    start.folders = cli_push_folders(L, 1, &start.n_folders); /* left on the stack for the run */
    if (router_run(&start, &err) != OK)
        return cli_push_error(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

/* Pushes a list of what the lines of an answer hold. */
static void push_lines(lua_State *L, const struct buf *answer)
{
    struct buf *tape = cli_push_buf(L, JSON_TAPE_MAX);
    size_t at = 0;

    lua_newtable(L);
    for (lua_Integer n = 1; at < answer->len; n++) {
        const char *line = answer->data + at, *end = memchr(line, '\n', answer->len - at);
        size_t len = end != NULL ? (size_t)(end - line) : answer->len - at;

        decode_json(L, tape, (struct slice){line, len}, "the router's answer");
        lua_rawseti(L, -2, n);
        at += len + 1;
    }
}

/* Runs under cli_protect: whatever answers on that path may be no router. */
static int keep_lines(lua_State *L)
{
    push_lines(L, lua_touserdata(L, 1));
    lua_setfield(L, LUA_REGISTRYINDEX, ANSWER);
    return 0;
}

static int push_reason(lua_State *L, const char *why)
{
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
}

/* ask(socket, question [, milliseconds]) -> list of what the router says, or nil and why */
static int ask(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    const char *question = luaL_checkstring(L, 2);
    int timeout_ms = (int)luaL_optinteger(L, 3, ASK_TIMEOUT_MS);
    struct err err = {0};
    struct buf *answer = cli_push_buf(L, ANSWER_MAX);

    if (control_ask(path, question, timeout_ms, answer, &err) != OK)
        return push_reason(L, err.text);
    if (answer->data[0] != '{')
        return push_reason(L, "the router that runs is of another version, which speaks otherwise");
    if (cli_protect(L, keep_lines, answer, &err) != OK)
        return push_reason(L, err.text);
    lua_getfield(L, LUA_REGISTRYINDEX, ANSWER);
    lua_pushnil(L);
    lua_setfield(L, LUA_REGISTRYINDEX, ANSWER);
    return 1;
}

/* router_pid(store) -> pid of the router that runs on it, 0: none */
static int router_pid(lua_State *L)
{
    lua_pushinteger(L, db_router_pid(luaL_checkstring(L, 1)));
    return 1;
}

/* libraries = {name = version} of those that decide how herald behaves */
static void push_libraries(lua_State *L)
{
    lua_newtable(L);
    lua_pushstring(L, db_library_version());
    lua_setfield(L, -2, "sqlite");
    lua_pushstring(L, rabbit_codec_version());
    lua_setfield(L, -2, "rabbitmq-c");
    lua_pushstring(L, rabbit_tls_version());
    lua_setfield(L, -2, "openssl");
    lua_pushstring(L, uv_version_string());
    lua_setfield(L, -2, "libuv");
}

void cli_add_router(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"run", run}, {"ask", ask}, {"router_pid", router_pid}, {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
    push_libraries(L);
    lua_setfield(L, -2, "libraries");
}
