/* call - see call.h. */
#include "script/call.h"

#include "script/cursor.h"
#include "script/statement.h"

#include <lauxlib.h>
#include <stdio.h>

void call_begin(struct script *s, const struct script_message *m, int64_t own_limit_ms)
{
    REQUIRE(s->call.message == NULL);
    s->call.serial++;
    s->call.message = m;
    if (own_limit_ms > 0)
        state_start(s->state, own_limit_ms, "timeout in its herald.on");
    else
        state_start(
            s->state, s->settings.handler_ms,
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

void call_check_nothing(lua_State *L, const char *who, const char *origin)
{
    const char *what;
    int type = lua_type(L, -1);

    if (type == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    what = type == LUA_TBOOLEAN  ? (lua_toboolean(L, -1) ? "true" : "false")
           : type == LUA_TNUMBER ? lua_tostring(L, -1)
                                 : lua_pushfstring(L, "a %s", luaL_typename(L, -1));
    luaL_error(L,
               "%s: %s returned %s: it returns nothing when all is well; to fail, call error(why), "
               "herald.retry(delay, why) or herald.reject(why)",
               origin, who, what);
}
