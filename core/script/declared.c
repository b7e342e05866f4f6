/* declared - see declared.h. */
#include "script/declared.h"

#include "base/json.h"
#include "script/script_int.h"

#include <lauxlib.h>
#include <stdio.h>

static _Noreturn void out_of_memory(lua_State *L)
{
    struct err err;

    err_set(&err, ERR_NOMEM, "out of memory for what rules declare or their functions return");
    state_end(L, &err);
}

struct slice declared_keep(const struct declared *d, struct slice s)
{
    if (!arena_keep(d->memory, &s))
        out_of_memory(d->L);
    return s;
}

void *declared_take(const struct declared *d, size_t size)
{
    void *room = arena_take(d->memory, size);

    if (room == NULL)
        out_of_memory(d->L);
    return room;
}

/* Pushes the field; false: there is none, and nothing was pushed. */
static bool push_field(const struct declared *d, const char *name)
{
    if (lua_getfield(d->L, d->table, name) != LUA_TNIL)
        return true;
    lua_pop(d->L, 1);
    return false;
}

struct slice declared_text(const struct declared *d, const char *name)
{
    struct slice text;

    if (!push_field(d, name))
        return (struct slice){NULL, 0};
    text.data = lua_tolstring(d->L, -1, &text.len);
    text = declared_keep(d, text);
    lua_pop(d->L, 1);
    json_add_text(d->json, name, text);
    return text;
}

int64_t declared_integer(const struct declared *d, const char *name)
{
    int64_t n;

    if (!push_field(d, name))
        return 0;
    n = lua_tointeger(d->L, -1);
    lua_pop(d->L, 1);
    json_add_int(d->json, name, n);
    return n;
}

static double read_number(const struct declared *d, const char *name)
{
    double n;

    if (!push_field(d, name))
        return 0;
    n = lua_tonumber(d->L, -1);
    lua_pop(d->L, 1);
    json_add_real(d->json, name, n);
    return n;
}

bool declared_flag(const struct declared *d, const char *name)
{
    bool flag;

    lua_getfield(d->L, d->table, name);
    flag = lua_toboolean(d->L, -1) != 0;
    lua_pop(d->L, 1);
    if (flag)
        json_add_bool(d->json, name, true);
    return flag;
}

int declared_word(const struct declared *d, const char *name, const char *const words[])
{
    int which;

    lua_getfield(d->L, d->table, name);
    which = luaL_checkoption(d->L, lua_gettop(d->L), NULL, words);
    lua_pop(d->L, 1);
    json_add_string(d->json, name, words[which]);
    return which;
}

/* The lines of the function on top, as they stand in its file. What load() made has no file: its
 * text is the name of its source. */
static struct slice lines_of_function(lua_State *L)
{
    const struct source *f;
    lua_Debug ar;

    lua_pushvalue(L, -1);
    lua_getinfo(L, ">S", &ar);
    f = sources_find(&script_of(L)->sources, ar.source);
    return f ? source_lines(f, ar.linedefined, ar.lastlinedefined) : slice_of(ar.source);
}

/* Its text may be long, and that of many functions may be one line: a hash stands for it. */
static void add_function(const struct declared *d, const char *name)
{
    struct slice lines = lines_of_function(d->L);
    char hash[20];

    snprintf(hash, sizeof hash, "%016llx",
             (unsigned long long)text_hash(TEXT_HASH_START, lines.data, lines.len));
    json_add_string(d->json, name, hash);
}

int declared_function(const struct declared *d, const char *name)
{
    if (!push_field(d, name))
        return 0;
    add_function(d, name);
    lua_pop(d->L, 1);
    if (lua_getfield(d->L, d->calls, name) != LUA_TFUNCTION)
        luaL_error(d->L, "nothing to call for %s", name); /* rules.lua forgot it */
    return luaL_ref(d->L, LUA_REGISTRYINDEX);
}

/* The {name, value} on top. */
static void read_argument(const struct declared *d, struct argument *out)
{
    lua_State *L = d->L;
    struct slice s;

    lua_getfield(L, -1, "name");
    s.data = lua_tolstring(L, -1, &s.len);
    *out = (struct argument){.name = declared_keep(d, s).data, .text = ""};
    lua_getfield(L, -2, "value");
    if (lua_isboolean(L, -1)) {
        out->kind = ARGUMENT_FLAG;
        out->number = lua_toboolean(L, -1);
        json_add_bool(d->json, out->name, out->number != 0);
    } else if (lua_isinteger(L, -1)) {
        out->kind = ARGUMENT_INTEGER;
        out->number = lua_tointeger(L, -1);
        json_add_int(d->json, out->name, out->number);
    } else {
        s.data = lua_tolstring(L, -1, &s.len);
        out->text = declared_keep(d, s).data;
        json_add_string(d->json, out->name, out->text);
    }
    lua_pop(L, 2);
}

void declared_arguments(const struct declared *d, const char *name, struct arguments *out)
{
    struct argument *list;

    *out = (struct arguments){.n = 0};
    if (!push_field(d, name))
        return;
    out->n = (size_t)lua_rawlen(d->L, -1);
    list = declared_take(d, (out->n + 1) * sizeof *list);
    out->list = list;
    json_add_object(d->json, name);
    for (size_t i = 0; i < out->n; i++) {
        lua_rawgeti(d->L, -1, (lua_Integer)i + 1);
        read_argument(d, &list[i]);
        lua_pop(d->L, 1);
    }
    json_end(d->json, "}");
    lua_pop(d->L, 1);
}

static void read_destination(const struct declared *d, struct destination *out,
                             struct arguments *arguments)
{
    static const char *const words[] = {"queue", "fanout", "direct", "topic", "headers", NULL};
    static const enum exchange_kind kinds[] = {EXCHANGE_DEFAULT, EXCHANGE_FANOUT, EXCHANGE_DIRECT,
                                               EXCHANGE_TOPIC, EXCHANGE_HEADERS};

    json_add_object(d->json, NULL);
    out->kind = kinds[declared_word(d, "kind", words)];
    out->exchange = declared_text(d, "exchange").data;
    out->routing_key = declared_text(d, "routing_key").data;
    if (arguments != NULL)
        declared_arguments(d, "arguments", arguments);
    json_end(d->json, "}");
}

struct destination *declared_destinations(const struct declared *d, const char *name, size_t *n_out,
                                          struct arguments **arguments)
{
    struct destination *list = NULL;
    struct arguments *bound = NULL;
    struct declared item = *d;
    bool any = false;

    lua_getfield(d->L, d->table, name);
    *n_out = (size_t)lua_rawlen(d->L, -1);
    if (*n_out > 0)
        list = declared_take(d, *n_out * sizeof *list);
    if (*n_out > 0 && arguments != NULL)
        bound = declared_take(d, *n_out * sizeof *bound);
    json_add_array(d->json, name);
    item.table = lua_gettop(d->L) + 1;
    for (size_t i = 0; i < *n_out; i++) {
        lua_rawgeti(d->L, -1, (lua_Integer)i + 1);
        read_destination(&item, &list[i], bound != NULL ? &bound[i] : NULL);
        any = any || (bound != NULL && bound[i].n > 0);
        lua_pop(d->L, 1);
    }
    json_end(d->json, "]");
    lua_pop(d->L, 1);
    if (arguments != NULL)
        *arguments = any ? bound : NULL;
    return list;
}

/* The list of milliseconds; rules.lua takes no longer one. */
static void read_delays(const struct declared *d, struct retry_policy *out)
{
    const size_t room = sizeof out->delay_ms / sizeof out->delay_ms[0];
    size_t n;

    lua_getfield(d->L, d->table, "delays");
    n = (size_t)lua_rawlen(d->L, -1);
    json_add_array(d->json, "delays");
    for (out->n_delays = 0; out->n_delays < n && out->n_delays < room; out->n_delays++) {
        lua_rawgeti(d->L, -1, (lua_Integer)out->n_delays + 1);
        out->delay_ms[out->n_delays] = lua_tointeger(d->L, -1);
        json_add_int(d->json, NULL, out->delay_ms[out->n_delays]);
        lua_pop(d->L, 1);
    }
    json_end(d->json, "]");
    lua_pop(d->L, 1);
}

bool declared_retry(const struct declared *d, const char *name, struct retry_policy *out)
{
    struct declared policy = *d;

    if (!push_field(d, name))
        return false;
    policy.table = lua_gettop(d->L);
    json_add_object(d->json, name);
    out->attempts = (int)declared_integer(&policy, "attempts");
    read_delays(&policy, out);
    out->factor = read_number(&policy, "factor");
    out->delay_max_ms = declared_integer(&policy, "max_delay");
    out->jitter = read_number(&policy, "jitter");
    out->max_age_ms = declared_integer(&policy, "max_age");
    json_end(d->json, "}");
    lua_pop(d->L, 1);
    return true;
}

void declared_begin(const struct declared *d)
{
    buf_clear(d->json);
    json_add_object(d->json, NULL);
}

const char *declared_end(const struct declared *d)
{
    json_end(d->json, "}");
    if (d->json->failed)
        out_of_memory(d->L);
    return declared_keep(d, (struct slice){d->json->data, d->json->len}).data;
}
