/* script_call - see script_call.h. */
#include "script/script_call.h"

#include "script/cursor.h"
#include "script/statement.h"

#include <lauxlib.h>
#include <stdio.h>

void call_begin(struct script *s, const struct script_message *m, int64_t own_limit_ms)
{
    int64_t (*clock_ms)(void *arg) = s->settings.host->mono_ms;

    REQUIRE(s->call.message == NULL);
    s->call.serial++;
    s->call.message = m;
    if (own_limit_ms > 0)
        state_start(s->state, clock_ms, own_limit_ms, "timeout in its herald.on");
    else
        state_start(
            s->state, clock_ms, s->settings.handler_ms,
            "setting handler_timeout; a handler can have its own with timeout in herald.on");
}

void call_end(struct script *s)
{
    cursor_close_all(s);
    statement_finish(s);
    s->call.message = NULL;
    state_stop(s->state);
}

void call_push_function(lua_State *L, int handle)
{
    if (lua_rawgeti(L, LUA_REGISTRYINDEX, handle) != LUA_TFUNCTION)
        luaL_error(L, "the rules declared something else when they were run again: what they "
                      "declare must not depend on time or environment");
}

/* Words for a value that a handler returned; some are left on the stack. */
static const char *push_words(lua_State *L, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        return "nil";
    case LUA_TBOOLEAN:
        return lua_toboolean(L, index) ? "true" : "false";
    case LUA_TNUMBER:
        return lua_tostring(L, index);
    default:
        return lua_pushfstring(L, "a %s", luaL_typename(L, index));
    }
}

void call_check_nothing(lua_State *L, const char *who, const char *origin)
{
    int second = lua_gettop(L), first = second - 1;
    bool two = !lua_isnil(L, second);

    if (lua_isnil(L, first) && !two) {
        lua_pop(L, 2);
        return;
    }
    luaL_error(L,
               "%s: %s returned %s%s%s: it returns nothing when all is well; to fail, call "
               "error(why), herald.retry(delay, why) or herald.reject(why)",
               origin, who, push_words(L, first), two ? " and " : "",
               two ? push_words(L, second) : "");
}
