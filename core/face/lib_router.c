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

static double number_field(lua_State *L, const char *name)
{
    double n;

    lua_getfield(L, -1, name);
    n = luaL_checknumber(L, -1);
    lua_pop(L, 1);
    return n;
}

struct retry_policy cli_policy_field(lua_State *L, const char *name)
{
    struct retry_policy p = {.attempts = 0};
    const size_t room = sizeof p.delay_ms / sizeof p.delay_ms[0];

    if (lua_getfield(L, 1, name) != LUA_TNIL) {
        p.attempts = (int)number_field(L, "attempts");
        p.factor = number_field(L, "factor");
        p.delay_max_ms = (int64_t)number_field(L, "max_delay");
        p.jitter = number_field(L, "jitter");
        p.max_age_ms = (int64_t)number_field(L, "max_age");
        lua_getfield(L, -1, "delays");
        for (size_t n = (size_t)lua_rawlen(L, -1); p.n_delays < n && p.n_delays < room;) {
            lua_rawgeti(L, -1, (lua_Integer)p.n_delays + 1);
            p.delay_ms[p.n_delays++] = luaL_checkinteger(L, -1);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return p;
}

static void read_settings(lua_State *L, struct router_settings *s)
{
    struct engine_settings *e = &s->engine;

    e->store = text_field(L, "store");
    e->broker = text_field(L, "broker");
    e->name = text_field(L, "name");
    e->publish_window = (size_t)integer_field(L, "publish_window");
    e->confirm_timeout_ms = integer_field(L, "confirm_timeout");
    e->prefetch_bytes = (size_t)integer_field(L, "prefetch_bytes");
    e->rescue_after = integer_field(L, "rescue_after");
    e->heartbeat_ms = integer_field(L, "heartbeat");
    e->inbox_window_ms = integer_field(L, "inbox_window");
    e->message_max = (size_t)integer_field(L, "message_max");
    e->watchdog_ms = integer_field(L, "watchdog");
    e->handler_ms = integer_field(L, "handler_timeout");
    e->handler_memory = (size_t)integer_field(L, "handler_memory");
    e->stop_timeout_ms = integer_field(L, "stop_timeout");
    e->recent_max = (size_t)integer_field(L, "recent_messages");
    e->history_ms = integer_field(L, "history");
    e->retry = cli_policy_field(L, "retry");
    e->publish_retry = cli_policy_field(L, "publish_retry");
    e->refuse_losses = strcmp(text_field(L, "removed_rules"), "refuse") == 0;
    lua_getfield(L, 1, "until_idle");
    e->until_idle = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    s->socket = text_field(L, "socket");
    log_level_parse(text_field(L, "log_level"), &s->log_level);
    s->log_format = strcmp(text_field(L, "log_format"), "json") == 0 ? LOG_JSON : LOG_LOGFMT;
    read_folders(L, e);
}

/* What a reload reads the settings with. */
struct rereading {
    lua_State *L;
    struct router_live *out;
};

/* Runs under cli_protect: settings.reread() -> the settings as they are now, or nil, why. */
static int run_reread(lua_State *L)
{
    struct router_live *out = ((struct rereading *)lua_touserdata(L, 1))->out;

    lua_getfield(L, LUA_REGISTRYINDEX, REREAD);
    lua_call(L, 0, 2);
    if (lua_isnil(L, -2))
        return lua_error(L); /* why is on top */
    lua_pop(L, 1);
    lua_replace(L, 1); /* where the fields are looked for */
    *out = (struct router_live){
        .log_level = LOG_INFO,
        .handler_ms = integer_field(L, "handler_timeout"),
        .handler_memory = (size_t)integer_field(L, "handler_memory"),
        .retry = cli_policy_field(L, "retry"),
        .publish_retry = cli_policy_field(L, "publish_retry"),
        .history_ms = integer_field(L, "history"),
    };
    out->refuse_losses = strcmp(text_field(L, "removed_rules"), "refuse") == 0;
    log_level_parse(text_field(L, "log_level"), &out->log_level);
    snprintf(out->restart, sizeof out->restart, "%s", text_field(L, "restart"));
    return 0;
}

static int reread(void *arg, struct router_live *out, struct err *err)
{
    struct rereading what = {.L = arg, .out = out};

    return cli_protect(arg, run_reread, &what, err);
}

/* run(settings) -> true, or nil, kind, why. settings.reread is asked at each reload. */
static int run(lua_State *L)
{
    struct router_settings settings = {.log_level = LOG_INFO, .reread = reread, .reread_arg = L};
    struct err err = {0};

    luaL_checktype(L, 1, LUA_TTABLE);
    read_settings(L, &settings);
    lua_getfield(L, 1, "reread");
    luaL_checktype(L, -1, LUA_TFUNCTION);
    lua_setfield(L, LUA_REGISTRYINDEX, REREAD);
    if (router_run(&settings, &err) != OK)
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
    push_lines(L, answer);
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
