/* dsl - see dsl.h. The structs are made when nothing can raise any more: all
 * arguments are checked first, and their bytes stay on the Lua stack meanwhile. */
#include "script/dsl.h"

#include "base/text.h"
#include "script/digest.h"
#include "script/script_int.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 64 };

/* Ten tries, from a second to an hour apart. */
#define RETRY_DEFAULT                                                                              \
    {                                                                                              \
        .attempts = 10, .n_delays = 1, .delay_ms = {1000}, .factor = 2, .delay_max_ms = 3600000,   \
        .jitter = 0.1                                                                              \
    }

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

/* The list of destinations at `index`; their strings are left on the stack. */
static size_t check_list(lua_State *L, int index, struct draft *list)
{
    size_t n;

    luaL_checktype(L, index, LUA_TTABLE);
    n = (size_t)lua_rawlen(L, index);
    if (n > LIST_MAX)
        luaL_error(L, "a list of over %d exchanges", LIST_MAX);
    for (size_t i = 0; i < n; i++) {
        luaL_checkstack(L, 5, NULL);
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        list[i] = check_destination(L, lua_gettop(L));
    }
    return n;
}

/* False when memory ran out: *out and *n_out hold what was made so far. */
static bool copy_list(struct destination **out, size_t *n_out, const struct draft *list, size_t n)
{
    bool good = true;

    if (n == 0)
        return true;
    *out = calloc(n, sizeof **out);
    if (*out == NULL)
        return false;
    for (*n_out = 0; *n_out < n; (*n_out)++)
        good = copy_destination(&(*out)[*n_out], &list[*n_out]) && good;
    return good;
}

static char *copy_text(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

/* True when an optional text was given and could not be copied. */
static bool lost(const char *copy, const char *given)
{
    return given != NULL && copy == NULL;
}

static uint64_t mix_list(uint64_t hash, const struct draft *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        hash = digest_number(hash, list[i].kind);
        hash = digest_text(digest_text(hash, list[i].exchange), list[i].routing_key);
    }
    return hash;
}

/* A handle of the function in field `name` of the table at `index`; 0: there is none. */
static int function_field(lua_State *L, int index, const char *name)
{
    if (lua_getfield(L, index, name) == LUA_TNIL) {
        lua_pop(L, 1);
        return 0;
    }
    luaL_checktype(L, -1, LUA_TFUNCTION);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

/* add_route(origin, type, order_type or nil, list, unroutable, chooser or nil, its author's
 * function or nil, order_by or nil) */
static int add_route(lua_State *L)
{
    static const char *const words[] = {"retry", "park", "drop", NULL};
    const char *origin = luaL_checkstring(L, 1), *type = luaL_checkstring(L, 2);
    const char *order_type = luaL_optstring(L, 3, NULL);
    struct draft to[LIST_MAX];
    struct route r = {.unroutable = (enum unroutable)luaL_checkoption(L, 5, NULL, words)};
    struct err err;
    size_t n;

    lua_settop(L, 8);
    r.order_by = (int)luaL_optinteger(L, 8, 0);
    r.digest = digest_number(TEXT_HASH_START, r.unroutable);
    r.digest = digest_number(r.digest, r.order_by);
    r.digest = digest_text(digest_text(r.digest, type), order_type);
    r.digest = digest_function(L, r.digest, 7);
    if (!lua_isnil(L, 6)) {
        lua_pushvalue(L, 6);
        r.to_function = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    n = check_list(L, 4, to);
    r.digest = mix_list(r.digest, to, n);
    r.type = strdup(type);
    r.order_type = copy_text(order_type);
    r.origin = strdup(origin);
    if (!copy_list(&r.to, &r.n_to, to, n) || r.type == NULL || r.origin == NULL ||
        lost(r.order_type, order_type)) {
        rules_drop_route(&r);
        out_of_memory(L);
    }
    check_added(L, rules_add_route(script_of(L)->loading, &r, &err), &err);
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

static void set_integer(lua_State *L, const char *name, int64_t n)
{
    lua_pushinteger(L, n);
    lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, double n)
{
    lua_pushnumber(L, n);
    lua_setfield(L, -2, name);
}

/* retry(): the policy where rules say nothing else, in the same form */
static int default_retry(lua_State *L)
{
    const struct retry_policy builtin = RETRY_DEFAULT;
    const struct retry_policy *p = &script_of(L)->settings.retry;

    if (p->attempts == 0)
        p = &builtin;
    lua_createtable(L, 0, 6);
    set_integer(L, "attempts", p->attempts);
    set_number(L, "factor", p->factor);
    set_integer(L, "max_delay", p->delay_max_ms);
    set_number(L, "jitter", p->jitter);
    set_integer(L, "max_age", p->max_age_ms);
    lua_createtable(L, (int)p->n_delays, 0);
    for (size_t i = 0; i < p->n_delays; i++) {
        lua_pushinteger(L, p->delay_ms[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "delays");
    return 1;
}

/* Fills a handler with copies. False when memory ran out; rules_drop_handler frees it. */
static bool fill_handler(struct handler *h, const char *texts[4], const struct retry_policy *retry)
{
    h->type = strdup(texts[0]);
    h->order_type = strdup(texts[1]);
    h->queue = copy_text(texts[2]);
    h->origin = strdup(texts[3]);
    if (h->type == NULL || h->order_type == NULL || h->origin == NULL || lost(h->queue, texts[2]))
        return false;
    if (retry->attempts == 0)
        return true;
    h->retry = malloc(sizeof *h->retry);
    if (h->retry != NULL)
        *h->retry = *retry;
    return h->retry != NULL;
}

/* add_handler(origin, type, order_type, function, {retry, timeout, queue}) */
static int add_handler(lua_State *L)
{
    struct retry_policy retry = {.attempts = 0};
    struct handler h = {.ref = LUA_NOREF};
    const char *texts[4];
    struct err err;

    texts[3] = luaL_checkstring(L, 1);
    texts[0] = luaL_checkstring(L, 2);
    texts[1] = luaL_checkstring(L, 3);
    luaL_checktype(L, 4, LUA_TFUNCTION);
    luaL_checktype(L, 5, LUA_TTABLE);
    lua_settop(L, 5);
    h.timeout_ms = integer_field(L, 5, "timeout");
    lua_getfield(L, 5, "queue");
    texts[2] = luaL_optstring(L, -1, NULL);
    if (lua_getfield(L, 5, "retry") != LUA_TNIL)
        retry = check_retry(L, lua_gettop(L));
    h.digest = digest_number(TEXT_HASH_START, h.timeout_ms);
    h.digest = digest_retry(digest_function(L, h.digest, 4), &retry);
    lua_pushvalue(L, 4);
    h.ref = luaL_ref(L, LUA_REGISTRYINDEX);
    if (!fill_handler(&h, texts, &retry)) {
        rules_drop_handler(&h);
        out_of_memory(L);
    }
    check_added(L, rules_add_handler(script_of(L)->loading, &h, &err), &err);
    return 0;
}

/* The table of functions at `index`: before, after, envelope, identity. */
static void take_functions(lua_State *L, int index, struct subscription *s)
{
    static const char *const names[] = {"before", "after", "envelope_text", "identity_text"};

    luaL_checktype(L, index, LUA_TTABLE);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        lua_getfield(L, index, names[i]);
        s->digest = digest_function(L, s->digest, lua_gettop(L));
        lua_pop(L, 1);
    }
    s->before = function_field(L, index, "before");
    s->after = function_field(L, index, "after");
    s->envelope_function = function_field(L, index, "envelope");
    s->identity = function_field(L, index, "identity");
}

/* The same table: whether the id of any body names its message. */
static void take_identity(lua_State *L, int index, struct subscription *s)
{
    lua_getfield(L, index, "identity_in_body");
    s->identity_in_body = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    s->digest = digest_number(s->digest, s->identity_in_body);
}

/* The same table: order_by, a number or nil, and hold. */
static void take_order(lua_State *L, int index, struct subscription *s)
{
    lua_getfield(L, index, "order_by");
    s->order_by = (int)luaL_optinteger(L, -1, 0);
    lua_getfield(L, index, "hold");
    s->hold = lua_toboolean(L, -1) != 0;
    lua_pop(L, 2);
    s->digest = digest_number(s->digest, s->order_by);
    s->digest = digest_number(s->digest, s->hold);
}

/* In the same table: after how many failures it pauses; 0: never. */
static void take_pause(lua_State *L, int index, struct subscription *s)
{
    s->pause_after = (size_t)integer_field(L, index, "pause_after");
    s->digest = digest_number(s->digest, (int64_t)s->pause_after);
}

/* add_subscription(origin, queue, from, queue_type or nil, prefetch, unhandled, retry,
 * envelope, what few have) */
static int add_subscription(lua_State *L)
{
    static const char *const types[] = {"any", "quorum", "classic", NULL};
    static const char *const ends[] = {"ack", "dead", NULL};
    static const char *const envelopes[] = {"auto", "raw", "function", NULL};
    struct draft from[LIST_MAX];
    struct subscription s = {.queue = NULL};
    const char *origin = luaL_checkstring(L, 1), *queue = luaL_checkstring(L, 2);
    struct err err;
    size_t n;

    s.queue_type = (enum queue_type)luaL_checkoption(L, 4, "any", types);
    s.prefetch = (int)luaL_checkinteger(L, 5);
    s.unhandled_dead = luaL_checkoption(L, 6, NULL, ends) == 1;
    luaL_checktype(L, 7, LUA_TTABLE);
    s.retry = check_retry(L, 7);
    s.envelope = (enum envelope_kind)luaL_checkoption(L, 8, NULL, envelopes);
    s.digest = digest_number(TEXT_HASH_START, s.queue_type);
    s.digest = digest_number(s.digest, s.prefetch);
    s.digest = digest_number(s.digest, s.unhandled_dead);
    s.digest = digest_number(s.digest, s.envelope);
    s.digest = digest_retry(digest_text(s.digest, queue), &s.retry);
    take_functions(L, 9, &s);
    take_identity(L, 9, &s);
    take_order(L, 9, &s);
    take_pause(L, 9, &s);
    n = check_list(L, 3, from);
    s.digest = mix_list(s.digest, from, n);
    s.queue = strdup(queue);
    s.origin = strdup(origin);
    if (!copy_list(&s.from, &s.n_from, from, n) || s.queue == NULL || s.origin == NULL) {
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

static const luaL_Reg native[] = {
    {"add_route", add_route}, {"add_handler", add_handler}, {"add_subscription", add_subscription},
    {"retry", default_retry}, {"duration", duration},       {NULL, NULL}};

void dsl_push_native(lua_State *L)
{
    luaL_newlib(L, native);
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

/* herald.fanout and its sisters change nothing: a route's function uses them. */
static bool declares(const char *name)
{
    static const char *const names[] = {"on", "route", "subscribe"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* Upvalues: the function of rules.lua, the name, whether it changes the rules. */
static int call_declaration(lua_State *L)
{
    struct script *s = script_of(L);

    if (s->loading == NULL && lua_toboolean(L, lua_upvalueindex(3)))
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
    lua_pushboolean(L, declares(name));
    lua_pushcclosure(L, call_declaration, 3);
}
