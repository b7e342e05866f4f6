/* lib_router - herald.core for the command line: run, and asking one that runs (cli.h). */
#include "broker/rabbit.h"
#include "face/cli.h"
#include "face/control.h"
#include "face/router.h"
#include "store/db.h"

#include <lauxlib.h>
#include <string.h>

enum { ASK_TIMEOUT_MS = 2000, ANSWER_MAX = 1024 * 1024 };

static const char *text_field(lua_State *L, const char *name)
{
    const char *text;

    lua_getfield(L, 1, name);
    text = luaL_checkstring(L, -1);
    lua_pop(L, 1); /* the settings still hold it */
    return text;
}

static int64_t integer_field(lua_State *L, const char *name)
{
    int64_t n;

    lua_getfield(L, 1, name);
    n = luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    return n;
}

static const char *folder_field(lua_State *L, const char *name)
{
    const char *text;

    lua_getfield(L, -1, name);
    text = luaL_checkstring(L, -1);
    lua_pop(L, 1);
    return text;
}

/* The folders live in a userdata that is left on the stack. */
static void read_folders(lua_State *L, struct engine_settings *out)
{
    struct engine_folder *folders;

    lua_getfield(L, 1, "folders");
    out->n_folders = lua_rawlen(L, -1);
    folders = lua_newuserdatauv(L, out->n_folders * sizeof *folders, 0);
    for (size_t i = 0; i < out->n_folders; i++) {
        lua_rawgeti(L, -2, (lua_Integer)i + 1);
        folders[i].path = folder_field(L, "path");
        folders[i].namespace_ = folder_field(L, "namespace");
        lua_pop(L, 1);
    }
    out->folders = folders;
}

static void read_settings(lua_State *L, struct router_settings *s)
{
    struct engine_settings *e = &s->engine;

    e->store = text_field(L, "store");
    e->broker = text_field(L, "broker");
    e->name = text_field(L, "name");
    e->publish_window = (size_t)integer_field(L, "publish_window");
    e->confirm_timeout_ms = integer_field(L, "confirm_timeout");
    e->heartbeat_ms = integer_field(L, "heartbeat");
    e->inbox_window_ms = integer_field(L, "inbox_window");
    e->handler_ms = integer_field(L, "handler_timeout");
    e->handler_memory = (size_t)integer_field(L, "handler_memory");
    e->stop_timeout_ms = integer_field(L, "stop_timeout");
    lua_getfield(L, 1, "until_idle");
    e->until_idle = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    log_level_parse(text_field(L, "log_level"), &s->log_level);
    s->log_format = strcmp(text_field(L, "log_format"), "json") == 0 ? LOG_JSON : LOG_LOGFMT;
    read_folders(L, e);
}

/* run(settings) -> true, or nil, kind, why */
static int run(lua_State *L)
{
    struct router_settings settings = {.log_level = LOG_INFO};
    struct err err = {0};

    luaL_checktype(L, 1, LUA_TTABLE);
    read_settings(L, &settings);
    if (router_run(&settings, &err) != OK)
        return cli_push_error(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

/* ask(question) -> answer, or nil and why */
static int ask(lua_State *L)
{
    const char *question = luaL_checkstring(L, 1);
    struct err err = {0};
    struct buf *answer = cli_push_buf(L, ANSWER_MAX);

    if (control_ask(question, ASK_TIMEOUT_MS, answer, &err) != OK) {
        lua_pushnil(L);
        lua_pushstring(L, err.text);
        return 2;
    }
    lua_pushlstring(L, answer->data ? answer->data : "", answer->len);
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
