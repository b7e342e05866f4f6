/* lib_herald - see lib_herald.h. */
#include "script/lib_herald.h"

#include "script/builtin.h"
#include "script/convert.h"
#include "script/decode.h"
#include "script/dsl.h"
#include "script/globals.h"
#include "script/lib_log.h"
#include "script/require.h"
#include "script/sandbox.h"
#include "script/script_int.h"
#include "script/suggest.h"
#include "script/verdict.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* herald.time("2026-01-31T12:00:00Z") -> milliseconds since 1970. RAISES for what is no time. */
static int herald_time(lua_State *L)
{
    struct slice s;
    int64_t ms;

    s.data = luaL_checklstring(L, 1, &s.len);
    if (text_utc_ms(s, &ms) != 0)
        luaL_error(L, "herald.time: not a time such as \"2026-01-31T12:00:00Z\" or "
                      "\"2026-01-31T20:00:00.000+08:00\"");
    lua_pushinteger(L, ms);
    return 1;
}

static int herald_now(lua_State *L)
{
    const struct script_host *host = host_of(L);

    lua_pushinteger(L, host->now_ms(host->arg));
    return 1;
}

static int herald_env(lua_State *L)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    const char *name = luaL_checkstring(L, 1);

    if (*name == '\0' || isdigit((unsigned char)*name) || name[strspn(name, letters)] != '\0')
        return luaL_error(L,
                          "herald.env: '%s' cannot be the name of a variable: names are "
                          "letters, digits and _",
                          name);
    lua_pushstring(L, getenv(name)); /* NULL becomes nil */
    return 1;
}

static int json_encode(lua_State *L)
{
    struct script *s = script_of(L);

    state_check(L); /* a long text is one instruction to the hook */
    luaL_checkany(L, 1);
    encode_json(L, &s->encoder, 1, "value");
    lua_pushlstring(L, s->encoder.out.data, s->encoder.out.len);
    return 1;
}

static int json_decode(lua_State *L)
{
    struct script *s = script_of(L);
    struct slice text;

    state_check(L);
    text.data = luaL_checklstring(L, 1, &text.len);
    decode_json(L, &s->tape, text, "herald.json.decode");
    return 1;
}

/* herald.json.array([t]): the table, marked as an array even when it is empty. */
static int json_array(lua_State *L)
{
    if (lua_isnoneornil(L, 1))
        lua_newtable(L);
    else
        luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (!lua_getmetatable(L, 1)) {
        decode_push_array_mark(L);
        lua_setmetatable(L, 1);
        return 1;
    }
    decode_push_array_mark(L);
    if (!lua_rawequal(L, -1, -2))
        return luaL_error(L, "herald.json.array: the table has a metatable of its own");
    lua_settop(L, 1);
    return 1;
}

static const luaL_Reg json_functions[] = {
    {"encode", json_encode}, {"decode", json_decode}, {"array", json_array}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"retry", verdict_retry},
                                     {"reject", verdict_reject},
                                     {"now", herald_now},
                                     {"time", herald_time},
                                     {"blob", convert_blob},
                                     {"env", herald_env},
                                     {NULL, NULL}};

/* Pushes what an embedded chunk returns, called with the top `nargs` values. */
static void run_embedded(lua_State *L, const char *name, const char *chunk, int nargs)
{
    const struct embedded *file = embedded_find(name);

    REQUIRE(file != NULL);
    if (luaL_loadbufferx(L, file->bytes, file->len, chunk, "t") != LUA_OK)
        lua_error(L);
    lua_insert(L, -nargs - 1);
    lua_call(L, nargs, 1);
}

/* Wraps each function of the table on top into a declaration and puts it into the
 * module at `module`. */
static void add_declarations(lua_State *L, int module)
{
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        dsl_wrap(L, lua_tostring(L, -2));
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, module);
    }
    lua_pop(L, 1);
}

/* Pushes what reads messages, with the named envelopes. */
static void push_reading(lua_State *L, int nearest)
{
    lua_pushvalue(L, nearest);
    convert_push_null(L);
    lua_pushcfunction(L, json_decode);
    lua_pushcfunction(L, json_encode);
    lua_pushcfunction(L, herald_time);
    convert_push_null(L);
    run_embedded(L, "herald.envelopes", "=[herald.envelopes]", 4);
    run_embedded(L, "herald.reading", "=[herald.reading]", 3);
}

void lib_herald_open(lua_State *L)
{
    int module;

    run_embedded(L, "herald.nearest", "=[herald.nearest]", 0);
    lua_pushvalue(L, -1);
    suggest_open(L);
    luaL_newlib(L, functions);
    module = lua_gettop(L);
    convert_push_null(L);
    lua_setfield(L, module, "null");
    luaL_newlib(L, json_functions);
    convert_push_null(L);
    lua_setfield(L, -2, "null");
    globals_watch_fields(L, "herald.json");
    sandbox_lock(L, "herald.json");
    lua_setfield(L, module, "json");
    lib_log_push(L);
    globals_watch_fields(L, "herald.log");
    sandbox_lock(L, "herald.log");
    lua_setfield(L, module, "log");
    dsl_push_native(L);
    lua_pushvalue(L, module - 1); /* nearest */
    lua_pushvalue(L, module - 1);
    run_embedded(L, "herald.arguments", "=[herald.arguments]", 1);
    push_reading(L, module - 1);
    run_embedded(L, "herald.rules", "=[herald.rules]", 4);
    add_declarations(L, module);
    globals_watch_fields(L, "herald");
    sandbox_lock(L, "herald");
    require_provide(L, "herald");
    lua_pop(L, 1);
}
