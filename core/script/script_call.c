/* script_call - see script_call.h. A handler between its subscription's hooks, its message, its
 * transaction, its time.
 *
 * One door for preparation and handler together: what is lent holds a serial number
 * only, so there is nothing to take back but the call itself. */
#include "script/script_call.h"

#include "script/cursor.h"
#include "script/lib_msg.h"
#include "script/lib_tx.h"
#include "script/protect.h"
#include "script/statement.h"

#include <lauxlib.h>
#include <stdio.h>

enum { HANDLER = 1, MSG, TX }; /* stack: the argument of protect, what is lent */

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

/* RAISES unless the two values that a function returned, on top, are nil; pops them. `who`
 * is the function's name for people, `origin` its place. */
static void check_nothing(lua_State *L, const char *who, const char *origin)
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

static void call_one(lua_State *L, int function, const char *who, const char *origin)
{
    call_push_function(L, function);
    lua_pushvalue(L, MSG);
    lua_pushvalue(L, TX);
    lua_call(L, 2, 2);
    check_nothing(L, who, origin);
}

/* Runs under protect. */
static int run_handler(lua_State *L)
{
    const struct handler *h = lua_touserdata(L, HANDLER);
    const struct subscription *s = script_of(L)->call.message->subscription;

    lib_msg_push(L);
    lib_tx_push(L);
    if (s != NULL && s->before != 0)
        call_one(L, s->before, "before in herald.subscribe", s->origin);
    call_one(L, h->ref, "the handler", h->origin);
    if (s != NULL && s->after != 0)
        call_one(L, s->after, "after in herald.subscribe", s->origin);
    return 0;
}

static void judge(const struct state *st, int rc, const struct handler *h,
                  struct script_outcome *out)
{
    out->code = OK;
    if (rc == OK) {
        out->verdict = SCRIPT_DONE;
        return;
    }
    if (rc == ERR_SCRIPT)
        return; /* protect told a plain error from a verdict */
    out->delay_ms = -1;
    if (rc == ERR_LIMIT && st->end.code == ERR_LIMIT) {
        out->verdict = SCRIPT_FAILED;
    } else if (rc == st->end.code) {
        out->code = rc;
        out->verdict = rc == ERR_TX_LOST ? SCRIPT_TX_LOST : SCRIPT_ENVIRONMENT;
    } else {
        out->verdict = SCRIPT_NOMEM;
        if (!protect_has_place(out->error)) /* it ran out between two looks of the hook */
            protect_put_place(out->error, sizeof out->error, h->origin);
    }
}

void script_call(struct script *s, const struct handler *h, const struct script_message *m,
                 struct script_outcome *out)
{
    int rc;

    call_begin(s, m, h->timeout_ms);
    rc = protect(s->state, run_handler, (void *)(uintptr_t)h, out);
    judge(s->state, rc, h, out);
    call_end(s);
}

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
