/* bounded - see bounded.h. Each function here checks its arguments and then calls the
 * library's own one in the same frame, so that error messages stay the library's. */
#include "script/bounded.h"

#include "script/state.h"

#include <lauxlib.h>
#include <stdint.h>

static const char read_only_field[] = "__readonly";

enum { LONG_TEXT = 64 * 1024, ITEM_SIZE = 16 };

/* A slot of a table takes at least ITEM_SIZE bytes: a list cannot be longer than this. */
static lua_Integer items_max(lua_State *L)
{
    return (lua_Integer)(state_of(L)->max / ITEM_SIZE);
}

static int original(lua_State *L)
{
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* The hook counts instructions, and each may be a call that walks through megabytes: those
 * look at the clock themselves. */
static void check_clock(lua_State *L, size_t len)
{
    if (len > LONG_TEXT)
        state_check(L);
}

static int bounded_rep(lua_State *L)
{
    size_t unit, separator;
    lua_Integer n;

    luaL_checklstring(L, 1, &unit);
    n = luaL_checkinteger(L, 2);
    luaL_optlstring(L, 3, "", &separator);
    if (unit + separator == 0) { /* nothing, however often: no need to count */
        lua_pushliteral(L, "");
        return 1;
    }
    if (n > 0 && (uint64_t)n > state_of(L)->max / 4 / (unit + separator))
        return luaL_error(L,
                          "string.rep: the result would be over %I bytes, a quarter of the "
                          "setting handler_memory",
                          (LUAI_UACINT)(state_of(L)->max / 4));
    if (n > 0)
        check_clock(L, (size_t)n * (unit + separator));
    return original(L);
}

static void check_pattern(lua_State *L, const char *name)
{
    size_t len;

    luaL_checklstring(L, 2, &len);
    if (len > BOUNDED_PATTERN_MAX)
        luaL_error(L, "string.%s: a pattern of %I bytes is over the fixed limit of %d", name,
                   (LUAI_UACINT)len, BOUNDED_PATTERN_MAX);
}

static void check_subject(lua_State *L, const char *name)
{
    size_t len;

    luaL_checklstring(L, 1, &len);
    if (len > BOUNDED_SUBJECT_MAX)
        luaL_error(L,
                   "string.%s: a subject of %I bytes is over the fixed limit of %d: cut it with "
                   "sub, or search for plain text with string.find(s, text, 1, true)",
                   name, (LUAI_UACINT)len, BOUNDED_SUBJECT_MAX);
    check_clock(L, len);
    check_pattern(L, name);
}

static int bounded_find(lua_State *L)
{
    size_t len;

    luaL_checklstring(L, 1, &len);
    if (lua_toboolean(L, 4)) {
        check_pattern(L, "find");
        check_clock(L, len);
    } else {
        check_subject(L, "find");
    }
    return original(L);
}

static int bounded_match(lua_State *L)
{
    check_subject(L, "match");
    return original(L);
}

static int bounded_gmatch(lua_State *L)
{
    check_subject(L, "gmatch");
    return original(L);
}

static int bounded_gsub(lua_State *L)
{
    check_subject(L, "gsub");
    return original(L);
}

/* upper, lower, reverse */
static int bounded_copy(lua_State *L)
{
    size_t len;

    luaL_checklstring(L, 1, &len);
    check_clock(L, len);
    return original(L);
}

static int bounded_date(lua_State *L)
{
    size_t len;

    luaL_optlstring(L, 1, "", &len);
    if (len > BOUNDED_PATTERN_MAX)
        return luaL_error(L, "os.date: a format of %I bytes is over the fixed limit of %d",
                          (LUAI_UACINT)len, BOUNDED_PATTERN_MAX);
    return original(L);
}

static void check_count(lua_State *L, const char *name, lua_Integer from, lua_Integer to)
{
    if (to >= from && (lua_Unsigned)to - (lua_Unsigned)from >= (lua_Unsigned)items_max(L))
        luaL_error(L,
                   "table.%s: more items than the limit of %I, which the setting "
                   "handler_memory has room for",
                   name, (LUAI_UACINT)items_max(L));
    if (to > from)
        check_clock(L, (size_t)(to - from) * ITEM_SIZE);
}

/* A __len may say anything. */
static void check_length(lua_State *L, const char *name)
{
    luaL_checkany(L, 1);
    check_clock(L, (size_t)lua_rawlen(L, 1) * ITEM_SIZE);
    if (luaL_getmetafield(L, 1, "__len") == LUA_TNIL)
        return; /* a plain table's length is bounded by memory */
    lua_pop(L, 1);
    check_count(L, name, 1, luaL_len(L, 1));
}

static int bounded_concat(lua_State *L)
{
    lua_Integer from = luaL_optinteger(L, 3, 1);

    if (lua_isnoneornil(L, 4))
        check_length(L, "concat");
    else
        check_count(L, "concat", from, luaL_checkinteger(L, 4));
    return original(L);
}

static int bounded_insert(lua_State *L)
{
    check_length(L, "insert");
    return original(L);
}

static int bounded_remove(lua_State *L)
{
    check_length(L, "remove");
    return original(L);
}

static int bounded_sort(lua_State *L)
{
    check_length(L, "sort");
    return original(L);
}

static int bounded_unpack(lua_State *L)
{
    if (lua_isnoneornil(L, 3))
        check_length(L, "unpack");
    return original(L); /* has a limit of its own: the stack's */
}

static int bounded_move(lua_State *L)
{
    check_count(L, "move", luaL_checkinteger(L, 2), luaL_checkinteger(L, 3));
    return original(L);
}

static int bounded_setmetatable(lua_State *L)
{
    if (lua_type(L, 2) == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_error(L, "setmetatable: __gc is not available to rules; use __close");
        lua_pop(L, 1);
    }
    return original(L);
}

static int bounded_rawset(lua_State *L)
{
    if (luaL_getmetafield(L, 1, read_only_field) != LUA_TNIL)
        return luaL_error(L, "this table is read-only");
    lua_settop(L, 3);
    return original(L);
}

/* Upvalue 1: the script's handler. */
static int guarded_handler(lua_State *L)
{
    if (!state_handles_errors(state_of(L)))
        return 1; /* the error as it is */
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static int bounded_xpcall(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, guarded_handler, 1);
    lua_replace(L, 2);
    return original(L);
}

/* What is ended neither makes nor resumes a coroutine, whose hook would count from the
 * start. */
static int bounded_coroutine(lua_State *L)
{
    state_check(L);
    return original(L);
}

static int bounded_close(lua_State *L)
{
    state_check(L);
    luaL_checktype(L, 1, LUA_TTHREAD);
    if (!state_may_close(lua_tothread(L, 1)))
        return luaL_error(L, "this coroutine was stopped by a limit and cannot be closed");
    return original(L);
}

enum { WRAP_THREAD = 1, WRAP_RESUME, WRAP_CLOSE };

/* The error of the coroutine is on top; its pending __close may put another there. */
static int raise_wrapped(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(WRAP_THREAD));

    state_check(L);
    if (lua_status(co) > LUA_YIELD && state_may_close(co)) {
        lua_pushvalue(L, lua_upvalueindex(WRAP_CLOSE));
        lua_pushvalue(L, lua_upvalueindex(WRAP_THREAD));
        lua_call(L, 1, 2);
        if (lua_toboolean(L, -2))
            lua_pop(L, 2);
    }
    return lua_error(L);
}

/* What coroutine.wrap gives: the library's own would close a dead coroutine unasked. */
static int call_wrapped(lua_State *L)
{
    state_check(L);
    lua_pushvalue(L, lua_upvalueindex(WRAP_RESUME));
    lua_insert(L, 1);
    lua_pushvalue(L, lua_upvalueindex(WRAP_THREAD));
    lua_insert(L, 2);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    if (!lua_toboolean(L, 1))
        return raise_wrapped(L);
    return lua_gettop(L) - 1;
}

/* Upvalue 1: the coroutine library. */
static int bounded_wrap(lua_State *L)
{
    lua_settop(L, 1);
    lua_getfield(L, lua_upvalueindex(1), "create");
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    lua_getfield(L, lua_upvalueindex(1), "resume");
    lua_getfield(L, lua_upvalueindex(1), "close");
    lua_pushcclosure(L, call_wrapped, WRAP_CLOSE);
    return 1;
}

static const struct cap {
    const char *library; /* NULL: a global */
    const char *name;
    lua_CFunction fn;
} caps[] = {
    {"string", "rep", bounded_rep},
    {"string", "find", bounded_find},
    {"string", "match", bounded_match},
    {"string", "gmatch", bounded_gmatch},
    {"string", "gsub", bounded_gsub},
    {"string", "upper", bounded_copy},
    {"string", "lower", bounded_copy},
    {"string", "reverse", bounded_copy},
    {"os", "date", bounded_date},
    {"table", "concat", bounded_concat},
    {"table", "insert", bounded_insert},
    {"table", "remove", bounded_remove},
    {"table", "sort", bounded_sort},
    {"table", "unpack", bounded_unpack},
    {"table", "move", bounded_move},
    {"coroutine", "create", bounded_coroutine},
    {"coroutine", "resume", bounded_coroutine},
    {"coroutine", "close", bounded_close},
    {NULL, "setmetatable", bounded_setmetatable},
    {NULL, "rawset", bounded_rawset},
    {NULL, "xpcall", bounded_xpcall},
};

void bounded_install(lua_State *L)
{
    for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++) {
        lua_pushglobaltable(L);
        if (caps[i].library != NULL)
            lua_getfield(L, -1, caps[i].library);
        lua_getfield(L, -1, caps[i].name);
        lua_pushcclosure(L, caps[i].fn, 1);
        lua_setfield(L, -2, caps[i].name);
        lua_pop(L, caps[i].library ? 2 : 1);
    }
    lua_getglobal(L, "coroutine");
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, bounded_wrap, 1);
    lua_setfield(L, -2, "wrap");
    lua_pop(L, 1);
}

void bounded_mark_read_only(lua_State *L)
{
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, read_only_field);
}
