/* verdict - see verdict.h. */
#include "script/verdict.h"

#include "base/text.h"

#include <lauxlib.h>
#include <math.h>

#define VERDICT_CLASS "herald.verdict"

struct verdict {
    enum script_verdict kind; /* SCRIPT_RETRY or SCRIPT_REJECT */
    int64_t delay_ms;         /* of a retry; -1: by policy */
    /* user value 1: the text, with file and line */
};

static const double DELAY_MAX_S = 100 * 365.25 * 86400;

static int verdict_tostring(lua_State *L)
{
    luaL_checkudata(L, 1, VERDICT_CLASS);
    lua_getiuservalue(L, 1, 1);
    return 1;
}

void verdict_open(lua_State *L)
{
    luaL_newmetatable(L, VERDICT_CLASS);
    lua_pushcfunction(L, verdict_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

/* RAISES the verdict; `why` is at index `why`, or absent. */
static int raise_verdict(lua_State *L, enum script_verdict kind, int64_t delay_ms, int why)
{
    struct verdict *v = lua_newuserdatauv(L, sizeof *v, 1);

    *v = (struct verdict){kind, delay_ms};
    luaL_setmetatable(L, VERDICT_CLASS);
    luaL_where(L, 1);
    if (lua_isnoneornil(L, why))
        lua_pushstring(L, kind == SCRIPT_RETRY ? "asked for a retry" : "rejected");
    else
        luaL_tolstring(L, why, NULL);
    lua_concat(L, 2);
    lua_setiuservalue(L, -2, 1);
    return lua_error(L);
}

static int64_t check_delay(lua_State *L, int index)
{
    struct slice text;
    int64_t ms;

    if (lua_isnoneornil(L, index))
        return -1;
    if (lua_type(L, index) == LUA_TNUMBER) {
        double seconds = lua_tonumber(L, index);

        if (isnan(seconds) || seconds < 0 || seconds > DELAY_MAX_S)
            luaL_error(L, "herald.retry: a delay of %f seconds is not between 0 and 100 years",
                       (LUAI_UACNUMBER)seconds);
        return (int64_t)(seconds * 1000 + 0.5);
    }
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(L, "herald.retry: the delay is a %s; give text such as \"30s\", or seconds",
                   luaL_typename(L, index));
    text.data = lua_tolstring(L, index, &text.len);
    if (text_duration_ms(text, &ms) != OK)
        luaL_error(L,
                   "herald.retry: \"%s\" is not a duration; write a whole number with ms, s, m, h "
                   "or d, such as \"30s\"",
                   text.data);
    return ms;
}

int verdict_retry(lua_State *L)
{
    int64_t delay_ms = check_delay(L, 1);

    lua_settop(L, 2);
    return raise_verdict(L, SCRIPT_RETRY, delay_ms, 2);
}

int verdict_reject(lua_State *L)
{
    lua_settop(L, 1);
    return raise_verdict(L, SCRIPT_REJECT, -1, 1);
}

bool verdict_read(lua_State *L, int index, struct script_outcome *out)
{
    const struct verdict *v = luaL_testudata(L, index, VERDICT_CLASS);

    if (v == NULL)
        return false;
    out->verdict = v->kind;
    out->delay_ms = v->delay_ms;
    lua_getiuservalue(L, index, 1);
    return true;
}
