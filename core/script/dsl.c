/* dsl - see dsl.h. What is read of a declaration is owned by the rules from the start, so nothing
 * is lost when something raises. */
#include "script/dsl.h"

#include "base/format.h"
#include "base/text.h"
#include "script/convert.h"
#include "script/declared.h"
#include "script/script_int.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

enum { ORIGIN = 1, DECLARED, CALLS };

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

/* Each add_ is called with (origin, declared, calls): `calls` has what is called for the functions
 * that were declared, where that is not these themselves. */
static struct declared begin(lua_State *L, enum rule_kind kind)
{
    struct script *s = script_of(L);
    struct declared d = {.L = L,
                         .table = DECLARED,
                         .calls = lua_istable(L, CALLS) ? CALLS : DECLARED,
                         .memory = rules_memory(s->loading, kind),
                         .json = &s->encoder.out};

    declared_begin(&d);
    return d;
}

static const char *keep_origin(const struct declared *d)
{
    return declared_keep(d, slice_of(lua_tostring(d->L, ORIGIN))).data;
}

static int add_route(lua_State *L)
{
    static const char *const unroutable[] = {"retry", "park", "drop", NULL};
    struct declared d = begin(L, RULE_ROUTE);
    struct route r = {.type = NULL};
    struct err err;

    r.type = declared_text(&d, "type").data;
    r.order_type = declared_text(&d, "order_type").data;
    r.to = declared_destinations(&d, "to", &r.n_to, NULL);
    r.to_function = declared_function(&d, "to_function");
    r.unroutable = (enum unroutable)declared_word(&d, "unroutable", unroutable);
    r.order_by = (int)declared_integer(&d, "order_by");
    r.format = format_of(declared_text(&d, "format").data);
    r.json = declared_end(&d);
    r.origin = keep_origin(&d);
    check_added(L, rules_add_route(script_of(L)->loading, &r, &err), &err);
    return 0;
}

/* NULL: it has no policy of its own. */
static const struct retry_policy *keep_retry(const struct declared *d)
{
    struct retry_policy policy = {.attempts = 0}, *copy;

    if (!declared_retry(d, "retry", &policy))
        return NULL;
    copy = declared_take(d, sizeof *copy);
    *copy = policy;
    return copy;
}

static int add_handler(lua_State *L)
{
    struct declared d = begin(L, RULE_HANDLER);
    struct handler h = {.type = NULL};
    struct err err;

    h.type = declared_text(&d, "type").data;
    h.order_type = declared_text(&d, "order_type").data;
    h.queue = declared_text(&d, "queue").data;
    h.ref = declared_function(&d, "handler");
    h.retry = keep_retry(&d);
    h.timeout_ms = declared_integer(&d, "timeout");
    h.json = declared_end(&d);
    h.origin = keep_origin(&d);
    check_added(L, rules_add_handler(script_of(L)->loading, &h, &err), &err);
    return 0;
}

/* What a message goes through besides its handler. */
static void read_functions(const struct declared *d, struct subscription *s)
{
    static const char *const envelopes[] = {"auto", "raw", "function", NULL};
    static const char *const key_paths[MESSAGE_KEYS] = {"business_key1", "business_key2",
                                                        "business_key3"};

    s->before = declared_function(d, "before");
    s->after = declared_function(d, "after");
    s->envelope = (enum envelope_kind)declared_word(d, "envelope", envelopes);
    s->envelope_function = declared_function(d, "envelope_function");
    s->envelope_name = declared_text(d, "envelope_name").data;
    for (int i = 0; i < MESSAGE_KEYS; i++)
        s->key_path[i] = declared_text(d, key_paths[i]).data;
    s->identity = declared_function(d, "identity");
    s->identity_in_body = declared_flag(d, "identity_in_body");
}

/* Most have none, and say nothing of it. */
static void read_sources(const struct declared *d, struct subscription *s)
{
    struct arguments *arguments;

    if (lua_getfield(d->L, d->table, "sources") != LUA_TNIL) {
        s->targets = declared_destinations(d, "targets", &s->n_sources, NULL);
        s->sources = declared_destinations(d, "sources", &s->n_sources, &arguments);
        s->source_arguments = arguments;
    }
    lua_pop(d->L, 1);
}

static int add_subscription(lua_State *L)
{
    static const char *const types[] = {"any", "quorum", "classic", NULL};
    static const char *const ends[] = {"ack", "dead", NULL};
    struct declared d = begin(L, RULE_SUBSCRIPTION);
    struct subscription s = {.queue = NULL};
    struct err err;

    s.queue = declared_text(&d, "queue").data;
    s.from = declared_destinations(&d, "from", &s.n_from, &s.from_arguments);
    read_sources(&d, &s);
    s.queue_type = (enum queue_type)declared_word(&d, "queue_type", types);
    declared_arguments(&d, "arguments", &s.arguments);
    s.priority = (int)declared_integer(&d, "priority");
    s.exclusive = declared_flag(&d, "exclusive");
    s.prefetch = (int)declared_integer(&d, "prefetch");
    (void)declared_retry(&d, "retry", &s.retry); /* always there */
    s.unhandled_dead = declared_word(&d, "unhandled", ends) == 1;
    read_functions(&d, &s);
    s.order_by = (int)declared_integer(&d, "order_by");
    s.hold = declared_flag(&d, "hold");
    s.pause_after = (size_t)declared_integer(&d, "pause_after");
    s.json = declared_end(&d);
    s.origin = keep_origin(&d);
    check_added(L, rules_add_subscription(script_of(L)->loading, &s, &err), &err);
    return 0;
}

/* retry(): the policy where rules say nothing else, in the same form */
static int default_retry(lua_State *L)
{
    const struct retry_policy *p = &script_of(L)->settings.retry;

    lua_createtable(L, 0, 6);
    convert_set_integer(L, "attempts", p->attempts);
    lua_pushnumber(L, p->factor);
    lua_setfield(L, -2, "factor");
    convert_set_integer(L, "max_delay", p->delay_max_ms);
    lua_pushnumber(L, p->jitter);
    lua_setfield(L, -2, "jitter");
    convert_set_integer(L, "max_age", p->max_age_ms);
    lua_createtable(L, (int)p->n_delays, 0);
    for (size_t i = 0; i < p->n_delays; i++) {
        lua_pushinteger(L, p->delay_ms[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "delays");
    return 1;
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

/* Pushes "rules/x.lua:12" for the caller of a declaration, which may have gone through
 * pcall. A C function keeps its caller's frame even in a tail call. */
static void push_origin(lua_State *L, const struct script *s)
{
    char origin[LUA_IDSIZE + 16]; /* lua_pushfstring takes three times as long */
    lua_Debug ar;

    if (!state_find_place(L, 1, &ar)) {
        lua_pushstring(L, s->file ? s->file : "?");
        return;
    }
    snprintf(origin, sizeof origin, "%s:%d", ar.short_src, ar.currentline);
    lua_pushstring(L, origin);
}

/* place(): where the rule is that runs, as declarations are given it */
static int place(lua_State *L)
{
    push_origin(L, script_of(L));
    return 1;
}

/* is_text(text): it is UTF-8 without a NUL, as a name is */
static int is_text(lua_State *L)
{
    struct slice s;

    s.data = luaL_checklstring(L, 1, &s.len);
    lua_pushboolean(L, memchr(s.data, '\0', s.len) == NULL && text_is_utf8(s.data, s.len));
    return 1;
}

static const luaL_Reg native[] = {{"add_route", add_route},
                                  {"add_handler", add_handler},
                                  {"add_subscription", add_subscription},
                                  {"retry", default_retry},
                                  {"duration", duration},
                                  {"is_text", is_text},
                                  {"place", place},
                                  {NULL, NULL}};

void dsl_push_native(lua_State *L)
{
    luaL_newlib(L, native);
}

/* herald.fanout and its sisters change nothing: a route's function uses them. */
static bool declares(const char *name)
{
    static const char *const names[] = {"on", "route", "subscribe"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* Upvalues: the function of rules.lua, the name, whether it changes the rules. A destination has
 * no use for its place, but for an error: it takes long to write. */
static int call_declaration(lua_State *L)
{
    struct script *s = script_of(L);
    bool changes = lua_toboolean(L, lua_upvalueindex(3)) != 0;

    if (s->loading == NULL && changes)
        return luaL_error(L, "herald.%s is for loading: a handler cannot change the rules",
                          lua_tostring(L, lua_upvalueindex(2)));
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    if (changes)
        push_origin(L, s);
    else
        lua_pushnil(L);
    lua_insert(L, 2);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

void dsl_wrap(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    lua_pushboolean(L, declares(name));
    lua_pushcclosure(L, call_declaration, 3);
}
