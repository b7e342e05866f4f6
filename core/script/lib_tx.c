/* lib_tx - see lib_tx.h. */
#include "script/lib_tx.h"

#include "script/convert.h"
#include "script/cursor.h"
#include "script/lent.h"
#include "script/lib_emit.h"
#include "script/statement.h"
#include "script/suggest.h"

#include <lauxlib.h>

#define TX_CLASS "herald.tx"

enum { KEY_MAX = 255 };

/* RAISES when the call is over, ended, or out of time. */
static struct script *check_tx(lua_State *L)
{
    struct script *s = lent_check(L, 1, TX_CLASS, "tx");

    state_check(L);
    return s;
}

static int tx_exec(lua_State *L)
{
    struct script *s = check_tx(L);
    const struct script_host *host = s->settings.host;

    statement_begin(L, s);
    while (statement_step(L, s, s->call.stmt, STATEMENT_SQL) == 1)
        ; /* rows of a RETURNING are not asked for */
    lua_pushinteger(L, host->changes(host->arg));
    statement_finish(s);
    return 1;
}

static int tx_row(lua_State *L)
{
    struct script *s = check_tx(L);

    statement_begin(L, s);
    if (statement_step(L, s, s->call.stmt, STATEMENT_SQL) == 1)
        statement_push_row(L, s->call.stmt);
    else
        lua_pushnil(L);
    statement_finish(s);
    return 1;
}

static int tx_value(lua_State *L)
{
    struct script *s = check_tx(L);

    statement_begin(L, s);
    if (statement_step(L, s, s->call.stmt, STATEMENT_SQL) == 1)
        statement_push_column(L, s->call.stmt, 0);
    else
        lua_pushnil(L);
    statement_finish(s);
    return 1;
}

static int tx_query(lua_State *L)
{
    return cursor_query(L, check_tx(L));
}

static int tx_emit(lua_State *L)
{
    return lib_emit(L, check_tx(L));
}

static int tx_reply(lua_State *L)
{
    return lib_reply(L, check_tx(L));
}

static int tx_cancel(lua_State *L)
{
    struct script *s = check_tx(L);
    const struct script_host *host = s->settings.host;
    struct slice key;
    struct err err;
    int was = -1;

    if (lua_gettop(L) < 2 || !convert_to_key(L, 2, &key) || key.len == 0 || key.len > KEY_MAX)
        return luaL_error(L, "tx:cancel takes the key of an emit, 1 to %d bytes", KEY_MAX);
    if (!text_is_utf8(key.data, key.len))
        return luaL_error(L, "tx:cancel: the key is not UTF-8 text");
    if (host->cancel(host->arg, key, &was, &err) != OK) {
        if (err.code == ERR_TX_LOST || err_is_environment(err.code))
            state_end(L, &err);
        return luaL_error(L, "tx:cancel: %s", err.text);
    }
    if (was < 0)
        lua_pushnil(L);
    else
        lua_pushboolean(L, was);
    return 1;
}

static const luaL_Reg methods[] = {{"cancel", tx_cancel}, {"exec", tx_exec},   {"row", tx_row},
                                   {"value", tx_value},   {"query", tx_query}, {"emit", tx_emit},
                                   {"reply", tx_reply},   {NULL, NULL}};

/* Upvalue 1: the methods. */
static int tx_index(lua_State *L)
{
    const char *known[] = {"cancel", "emit", "exec", "query", "reply", "row", "value"};
    const char *name;

    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    name = luaL_tolstring(L, 2, NULL);
    suggest_push(L, name, known, sizeof known / sizeof known[0]);
    return luaL_error(L, "tx has no method '%s'%s", name, lua_tostring(L, -1));
}

static int tx_newindex(lua_State *L)
{
    return luaL_error(L, "tx is read-only");
}

static int tx_tostring(lua_State *L)
{
    lua_pushliteral(L, TX_CLASS);
    return 1;
}

void lib_tx_open(lua_State *L)
{
    cursor_open(L);
    luaL_newlib(L, methods);
    lent_open(L, TX_CLASS, tx_index, tx_newindex, tx_tostring);
}

void lib_tx_push(lua_State *L)
{
    lent_push(L, TX_CLASS, 0);
}
