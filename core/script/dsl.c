/* dsl - see dsl.h. The structs are made when nothing can raise any more: all
 * arguments are checked first, and their bytes stay on the Lua stack meanwhile. */
#include "script/dsl.h"

#include "base/text.h"
#include "script/script_int.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FROM_MAX = 64 };

/* A destination as it stands on the Lua stack. */
struct draft {
    enum exchange_kind kind;
    const char *exchange;
    const char *routing_key;
};

/* RAISES the error of a rules_add_*, which has its place in its text already. */
static void check_added(lua_State *L, int rc, const struct err *err)
{
    if (rc == ERR_NOMEM)
        state_end(L, err);
    if (rc == OK)
        return;
    lua_pushstring(L, err->text);
    lua_error(L);
}

static enum exchange_kind check_kind(lua_State *L, int index)
{
    static const char *const words[] = {"queue", "fanout", "direct", "topic", NULL};
    static const enum exchange_kind kinds[] = {EXCHANGE_DEFAULT, EXCHANGE_FANOUT, EXCHANGE_DIRECT,
                                               EXCHANGE_TOPIC};

    return kinds[luaL_checkoption(L, index, NULL, words)];
}

/* The destination at `index`; its three strings are left on the stack. */
static struct draft check_destination(lua_State *L, int index)
{
    struct draft d;

    luaL_checktype(L, index, LUA_TTABLE);
    luaL_checkstack(L, 4, NULL);
    lua_getfield(L, index, "kind");
    d.kind = check_kind(L, lua_gettop(L));
    lua_getfield(L, index, "exchange");
    d.exchange = luaL_checkstring(L, -1);
    lua_getfield(L, index, "routing_key");
    d.routing_key = luaL_checkstring(L, -1);
    return d;
}

/* False when memory ran out; what was made is freed by whoever adds it. */
static bool copy_destination(struct destination *to, const struct draft *d)
{
    to->kind = d->kind;
    to->exchange = strdup(d->exchange);
    to->routing_key = strdup(d->routing_key);
    return to->exchange != NULL && to->routing_key != NULL;
}

static void out_of_memory(lua_State *L)
{
    struct err err;

    err_set(&err, ERR_NOMEM, "out of memory while declaring rules");
    state_end(L, &err);
}

/* add_route(origin, type, order_type or nil, to, unroutable) */
static int add_route(lua_State *L)
{
    static const char *const words[] = {"retry", "park", "drop", NULL};
    const char *origin = luaL_checkstring(L, 1), *type = luaL_checkstring(L, 2);
    const char *order_type = luaL_optstring(L, 3, NULL);
    int unroutable = luaL_checkoption(L, 5, NULL, words);
    struct draft to = check_destination(L, 4);
    struct route r = {.type = strdup(type),
                      .order_type = order_type ? strdup(order_type) : NULL,
                      .unroutable = (enum unroutable)unroutable,
                      .origin = strdup(origin)};
    struct err err;

    r.to = calloc(1, sizeof *r.to);
    r.n_to = r.to ? 1 : 0;
    if (r.to == NULL || !copy_destination(&r.to[0], &to) || r.type == NULL || r.origin == NULL ||
        (order_type != NULL && r.order_type == NULL)) {
        rules_drop_route(&r);
        out_of_memory(L);
    }
    check_added(L, rules_add_route(script_of(L)->loading, &r, &err), &err);
    return 0;
}

/* add_handler(origin, type, order_type, function) */
static int add_handler(lua_State *L)
{
    const char *origin = luaL_checkstring(L, 1), *type = luaL_checkstring(L, 2);
    const char *order_type = luaL_checkstring(L, 3);
    struct handler h = {.ref = 0};
    struct err err;

    luaL_checktype(L, 4, LUA_TFUNCTION);
    lua_settop(L, 4);
    h.ref = luaL_ref(L, LUA_REGISTRYINDEX);
    h.type = strdup(type);
    h.order_type = strdup(order_type);
    h.origin = strdup(origin);
    if (h.type == NULL || h.order_type == NULL || h.origin == NULL) {
        rules_drop_handler(&h);
        out_of_memory(L);
    }
    check_added(L, rules_add_handler(script_of(L)->loading, &h, &err), &err);
    return 0;
}

static lua_Number number_field(lua_State *L, int index, const char *name)
{
    lua_Number n;

    lua_getfield(L, index, name);
    n = luaL_checknumber(L, -1);
    lua_pop(L, 1);
    return n;
}

static int64_t integer_field(lua_State *L, int index, const char *name)
{
    int64_t n;

    lua_getfield(L, index, name);
    n = luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    return n;
}

/* The table that rules.lua makes: attempts, delays (milliseconds), factor, max_delay,
 * jitter, max_age. */
static struct retry_policy check_retry(lua_State *L, int index)
{
    struct retry_policy p = {.attempts = (int)integer_field(L, index, "attempts")};
    const size_t room = sizeof p.delay_ms / sizeof p.delay_ms[0];

    p.factor = number_field(L, index, "factor");
    p.delay_max_ms = integer_field(L, index, "max_delay");
    p.jitter = number_field(L, index, "jitter");
    p.max_age_ms = integer_field(L, index, "max_age");
    lua_getfield(L, index, "delays");
    luaL_checktype(L, -1, LUA_TTABLE);
    for (size_t n = (size_t)lua_rawlen(L, -1); p.n_delays < n && p.n_delays < room; p.n_delays++) {
        lua_rawgeti(L, -1, (lua_Integer)p.n_delays + 1);
        p.delay_ms[p.n_delays] = luaL_checkinteger(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return p;
}

static size_t check_from(lua_State *L, int index, struct draft *from)
{
    size_t n;

    luaL_checktype(L, index, LUA_TTABLE);
    n = (size_t)lua_rawlen(L, index);
    if (n > FROM_MAX)
        luaL_error(L, "a queue takes from at most %d exchanges", FROM_MAX);
    for (size_t i = 0; i < n; i++) {
        luaL_checkstack(L, 4, NULL);
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        from[i] = check_destination(L, lua_gettop(L));
    }
    return n;
}

static bool copy_from(struct subscription *s, const struct draft *from, size_t n)
{
    bool good = true;

    if (n == 0)
        return true;
    s->from = calloc(n, sizeof *s->from);
    if (s->from == NULL)
        return false;
    for (s->n_from = 0; s->n_from < n; s->n_from++)
        good = copy_destination(&s->from[s->n_from], &from[s->n_from]) && good;
    return good;
}

/* add_subscription(origin, queue, from, queue_type or nil, prefetch, unhandled, retry) */
static int add_subscription(lua_State *L)
{
    static const char *const types[] = {"any", "quorum", "classic", NULL};
    static const char *const ends[] = {"ack", "dead", NULL};
    struct draft from[FROM_MAX];
    struct subscription s = {.queue = NULL};
    const char *origin = luaL_checkstring(L, 1), *queue = luaL_checkstring(L, 2);
    struct err err;
    size_t n;

    s.queue_type = (enum queue_type)luaL_checkoption(L, 4, "any", types);
    s.prefetch = (int)luaL_checkinteger(L, 5);
    s.unhandled_dead = luaL_checkoption(L, 6, NULL, ends) == 1;
    luaL_checktype(L, 7, LUA_TTABLE);
    s.retry = check_retry(L, 7);
    n = check_from(L, 3, from);
    s.queue = strdup(queue);
    s.origin = strdup(origin);
    if (!copy_from(&s, from, n) || s.queue == NULL || s.origin == NULL) {
        rules_drop_subscription(&s);
        out_of_memory(L);
    }
    check_added(L, rules_add_subscription(script_of(L)->loading, &s, &err), &err);
    return 0;
}

/* duration(text): milliseconds, or nil */
static int duration(lua_State *L)
{
    struct slice s;
    int64_t ms;

    s.data = luaL_checklstring(L, 1, &s.len);
    if (text_duration_ms(s, &ms) != OK)
        return 0;
    lua_pushinteger(L, ms);
    return 1;
}

static const luaL_Reg native[] = {{"add_route", add_route},
                                  {"add_handler", add_handler},
                                  {"add_subscription", add_subscription},
                                  {"duration", duration},
                                  {NULL, NULL}};

void dsl_push_native(lua_State *L)
{
    luaL_newlib(L, native);
}

/* Pushes "rules/x.lua:12" for the caller of a declaration. A C function keeps its
 * caller's frame even in a tail call; where there is no line the file must do. */
static void push_origin(lua_State *L, const struct script *s)
{
    size_t len;
    const char *where;

    luaL_where(L, 1);
    where = lua_tolstring(L, -1, &len);
    if (len > 2)
        lua_pushlstring(L, where, len - 2);
    else
        lua_pushstring(L, s->file ? s->file : "?");
    lua_remove(L, -2);
}

/* Upvalues: the function of rules.lua, the name. */
static int call_declaration(lua_State *L)
{
    struct script *s = script_of(L);

    if (s->loading == NULL)
        return luaL_error(L, "herald.%s is for loading: a handler cannot change the rules",
                          lua_tostring(L, lua_upvalueindex(2)));
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    push_origin(L, s);
    lua_insert(L, 2);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

void dsl_wrap(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    lua_pushcclosure(L, call_declaration, 2);
}
