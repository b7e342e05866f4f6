/*
 * lib_spec - herald.core for specs: a router for specs (spec/spec_router.h, cli.h)
 *
 * Only plain data crosses: texts, numbers, tables of them. The rules run in their own
 * sandboxed state, as in a router. What goes wrong is raised as a Lua error.
 */
#include "face/lib_spec.h"
#include "face/cli_store.h"
#include "script/convert.h"
#include "spec/spec_router.h"

#include <lauxlib.h>

#define CLASS "herald.spec_router"

enum { RULES_MAX = 100, LOG_MAX = 256 * 1024 * 1024 };

/* User value 1 keeps the texts that it was made with. */
struct box {
    struct spec_router *router; /* owned; NULL once stopped */
};

static struct spec_router *check(lua_State *L)
{
    struct box *s = luaL_checkudata(L, 1, CLASS);

    if (s->router == NULL)
        luaL_error(L, "this router was stopped");
    return s->router;
}

/* RAISES unless the code is OK. */
static void must(lua_State *L, int rc, const struct err *err)
{
    if (rc != OK)
        luaL_error(L, "%s", err->text[0] != '\0' ? err->text : err_word(rc));
}

static int stop(lua_State *L)
{
    struct box *s = luaL_checkudata(L, 1, CLASS);

    spec_router_free(&s->router);
    return 0;
}

static int run(lua_State *L)
{
    struct err err = {0};

    must(L, spec_router_run(check(L), &err), &err);
    return 0;
}

/* advance(milliseconds) */
static int advance(lua_State *L)
{
    struct spec_router *r = check(L);
    int64_t ms = luaL_checkinteger(L, 2);
    struct err err = {0};

    luaL_argcheck(L, ms >= 0, 2, "time does not go back");
    must(L, spec_router_advance(r, ms, &err), &err);
    return 0;
}

/* now() -> milliseconds since 1970 UTC */
static int now(lua_State *L)
{
    lua_pushinteger(L, spec_router_now_ms(check(L)));
    return 1;
}

/* crash("before commit" | "after commit") */
static int crash(lua_State *L)
{
    static const char *const words[] = {"before commit", "after commit", NULL};
    struct spec_router *r = check(L);

    spec_router_crash(r, luaL_checkoption(L, 2, NULL, words) == 0);
    return 0;
}

static int duplicate(lua_State *L)
{
    spec_router_duplicate(check(L));
    return 0;
}

/* fail(type, "nack" | "return" | "time out") */
static int fail(lua_State *L)
{
    static const char *const words[] = {"nack", "return", "time out", NULL};
    struct spec_router *r = check(L);
    const char *type = luaL_checkstring(L, 2);
    int fault = luaL_checkoption(L, 3, NULL, words);
    struct err err = {0};

    must(L, spec_broker_fail_next(spec_router_broker(r), type, (enum spec_fault)fault, &err), &err);
    return 0;
}

/* The table at `index`: id, type, business_key1 to 3, body, headers and properties (JSON texts),
 * content_type, timestamp. */
static struct message check_message(lua_State *L, int index)
{
    struct message m = {.timestamp_s = 0};

    luaL_checktype(L, index, LUA_TTABLE);
    m.id = cli_get_slice(L, index, "id");
    m.type = cli_get_slice(L, index, "type");
    m.key[0] = cli_get_slice(L, index, "business_key1");
    m.key[1] = cli_get_slice(L, index, "business_key2");
    m.key[2] = cli_get_slice(L, index, "business_key3");
    m.body = cli_get_slice(L, index, "body");
    m.headers = cli_get_slice(L, index, "headers");
    m.properties = cli_get_slice(L, index, "properties");
    m.content_type = cli_get_slice(L, index, "content_type");
    m.timestamp_s = cli_get_integer(L, index, "timestamp", 0);
    return m;
}

/* deliver(exchange, routing_key, message, serial): exchange "" is the default one, whose
 * routing key names a queue. Without a body it gets the one of an outbox row `serial`. */
static int deliver(lua_State *L)
{
    struct spec_router *r = check(L);
    const char *exchange = luaL_checkstring(L, 2), *key = luaL_checkstring(L, 3);
    const struct destination to = {.kind = exchange[0] == '\0' ? EXCHANGE_DEFAULT : EXCHANGE_FANOUT,
                                   .exchange = exchange,
                                   .routing_key = key};
    struct message m = check_message(L, 4);
    struct err err = {0};

    if (m.body.data == NULL) {
        struct buf *body = cli_push_buf(L, MESSAGE_BODY_MAX);

        if (message_default_body(body, &m, luaL_checkinteger(L, 5)) != OK)
            return luaL_error(L, "out of memory");
        m.body = (struct slice){body->data, body->len};
    }
    must(L, spec_router_deliver(r, &to, &m, &err), &err);
    return 0;
}

/* emit(message) -> id of the outbox row */
static int emit(lua_State *L)
{
    struct spec_router *r = check(L);
    struct message m = check_message(L, 2);
    struct err err = {0};
    int64_t id = 0;

    must(L, spec_router_emit(r, &m, &id, &err), &err);
    lua_pushinteger(L, id);
    return 1;
}

static int raise_event(lua_State *L)
{
    struct spec_router *r = check(L);
    struct message m = check_message(L, 2);
    struct err err = {0};

    must(L, spec_router_raise(r, &m, &err), &err);
    return 0;
}

/* Puts the values from index 3 on into the statement: one table by name, others by place. */
static int bind_all(lua_State *L, struct spec_sql *g, int last, struct err *err)
{
    int wanted = spec_sql_parameters(g);
    bool named = last == 3 && lua_istable(L, 3);

    if (wanted > 0 && !named && wanted != last - 2)
        return luaL_error(L, "the statement has %d parameters, but %d values were given", wanted,
                          last - 2);
    for (int i = 1; i <= wanted; i++) {
        const char *name = spec_sql_parameter_name(g, i);
        struct value v;

        if (named && name == NULL)
            return luaL_error(L, "a table of values needs named parameters, such as :id");
        if (named)
            lua_getfield(L, 3, name + 1);
        else
            lua_pushvalue(L, i + 2);
        if (named && lua_isnil(L, -1))
            return luaL_error(L, "no value for %s (testing.null is NULL)", name);
        if (!convert_to_value(L, -1, &v))
            return luaL_error(L, "value %d is a %s: SQL has no such thing", i,
                              luaL_typename(L, -1));
        must(L, spec_sql_bind(g, i, &v, err), err);
        lua_pop(L, 1);
    }
    return wanted;
}

static void push_row(lua_State *L, const struct spec_sql *g)
{
    int n = spec_sql_columns(g);

    lua_createtable(L, 0, n);
    for (int i = 0; i < n; i++) {
        struct value v;

        spec_sql_column(g, i, &v);
        convert_push(L, &v);
        lua_setfield(L, -2, spec_sql_column_name(g, i));
    }
}

static void push_columns(lua_State *L, const struct spec_sql *g)
{
    int n = spec_sql_columns(g);

    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_pushstring(L, spec_sql_column_name(g, i));
        lua_rawseti(L, -2, i + 1);
    }
}

/* Stack: ..., rows, columns. Both are replaced when the statement gives rows. */
static void run_statement(lua_State *L, struct spec_sql *g, struct err *err)
{
    lua_Integer n = 0;
    int rc;

    if (spec_sql_columns(g) > 0) {
        lua_pop(L, 2);
        lua_newtable(L);
        push_columns(L, g);
    }
    while ((rc = spec_sql_step(g, err)) == 1) {
        push_row(L, g);
        lua_rawseti(L, -3, ++n);
    }
    must(L, rc, err);
}

/* sql(text, ...) -> rows of its last query, each a table by column; names of the columns */
static int sql(lua_State *L)
{
    struct spec_router *r = check(L);
    int last = lua_gettop(L), used = 0, rc;
    struct spec_sql *g = NULL;
    struct slice text;
    struct err err = {0};

    text.data = luaL_checklstring(L, 2, &text.len);
    must(L, spec_router_sql(r, &g, &err), &err);
    spec_sql_begin(g, text);
    lua_newtable(L);
    lua_newtable(L);
    while ((rc = spec_sql_next(g, &err)) == 1) {
        used += bind_all(L, g, last, &err);
        run_statement(L, g, &err);
    }
    must(L, rc, &err);
    must(L, spec_sql_end(g, &err), &err);
    if (last > 2 && used == 0)
        return luaL_error(L, "values were given, but the SQL has no parameters");
    return 2;
}

static void set_destination(lua_State *L, const struct destination *d)
{
    convert_set_slice(
        L, "kind", slice_of(d->kind == EXCHANGE_DEFAULT ? "queue" : exchange_kind_word(d->kind)));
    convert_set_slice(L, "exchange", slice_of(d->exchange));
    convert_set_slice(L, "routing_key", slice_of(d->routing_key));
}

/* published() -> list of {kind, exchange, routing_key, message_id, type, ...}, as published */
static int published(lua_State *L)
{
    struct broker *b = spec_router_broker(check(L));
    const struct spec_publish *p;

    lua_newtable(L);
    for (size_t i = 0; (p = spec_broker_published(b, i)) != NULL; i++) {
        lua_createtable(L, 0, 11);
        set_destination(L, &p->to);
        convert_set_slice(L, "message_id", p->message.id);
        convert_set_slice(L, "type", p->message.type);
        convert_set_slice(L, "business_key1", p->message.key[0]);
        convert_set_slice(L, "business_key2", p->message.key[1]);
        convert_set_slice(L, "business_key3", p->message.key[2]);
        convert_set_slice(L, "body", p->message.body);
        convert_set_slice(L, "headers", p->message.headers);
        convert_set_slice(L, "properties", p->message.properties);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* log() -> all lines, each a JSON object */
static int log_lines(lua_State *L)
{
    struct spec_router *r = check(L);
    struct buf *lines = cli_push_buf(L, LOG_MAX);
    struct err err = {0};

    must(L, spec_router_log(r, lines, &err), &err);
    lua_pushlstring(L, lines->data ? lines->data : "", lines->len);
    return 1;
}

/* subscriptions() -> list of {queue, from = list of {kind, exchange, routing_key}} */
static int subscriptions(lua_State *L)
{
    const struct topology *t = rules_topology(spec_router_rules(check(L)));

    lua_createtable(L, (int)t->n_subscriptions, 0);
    for (size_t i = 0; i < t->n_subscriptions; i++) {
        const struct subscription *s = &t->subscriptions[i];

        lua_createtable(L, 0, 2);
        convert_set_slice(L, "queue", slice_of(s->queue));
        lua_createtable(L, (int)s->n_from, 0);
        for (size_t j = 0; j < s->n_from; j++) {
            lua_createtable(L, 0, 3);
            set_destination(L, &s->from[j]);
            lua_rawseti(L, -2, (lua_Integer)j + 1);
        }
        lua_setfield(L, -2, "from");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* counters() -> name to number, since the last start */
static int counters(lua_State *L)
{
    const struct counters *c = spec_router_counters(check(L));

    lua_newtable(L);
#define X(name, meaning) convert_set_integer(L, #name, c->name);
    COUNTER_MAP(X)
#undef X
    return 1;
}

static struct box *push_box(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"stop", stop},         {"run", run},           {"advance", advance},
        {"now", now},           {"crash", crash},       {"duplicate", duplicate},
        {"fail", fail},         {"deliver", deliver},   {"emit", emit},
        {"raise", raise_event}, {"sql", sql},           {"published", published},
        {"log", log_lines},     {"counters", counters}, {"subscriptions", subscriptions},
        {NULL, NULL},
    };
    struct box *s = lua_newuserdatauv(L, sizeof *s, 1);

    s->router = NULL;
    if (luaL_newmetatable(L, CLASS)) {
        luaL_newlib(L, methods);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, stop);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return s;
}

/* Pushes what holds the list of texts at settings.rules. */
static void read_rules(lua_State *L, struct spec_router_settings *out)
{
    struct slice *texts = lua_newuserdatauv(L, RULES_MAX * sizeof *texts, 0);

    lua_getfield(L, 1, "rules");
    luaL_checktype(L, -1, LUA_TTABLE);
    out->n_rules = (size_t)lua_rawlen(L, -1);
    luaL_argcheck(L, out->n_rules <= RULES_MAX, 1, "too many texts of rules");
    for (size_t i = 0; i < out->n_rules; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        texts[i].data = luaL_checklstring(L, -1, &texts[i].len);
        lua_pop(L, 1); /* the settings still hold it */
    }
    lua_pop(L, 1);
    out->rules = texts;
}

/* spec_router{folders, rules, now, loopback, and settings} -> a router, or nil, kind, why */
static int spec_router(lua_State *L)
{
    struct spec_router_settings settings = {.n_folders = 0};
    struct box *s;
    struct err err = {0};

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    cli_read_settings(L, 1, &settings.router);
    settings.now_ms = cli_get_integer(L, 1, "now", 0);
    lua_getfield(L, 1, "loopback");
    settings.loopback = lua_toboolean(L, -1) != 0;
    read_rules(L, &settings);
    settings.folders = cli_push_folders(L, 1, &settings.n_folders);
    s = push_box(L);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    if (spec_router_new(&s->router, &settings, &err) != OK)
        return cli_push_error(L, &err);
    return 1;
}

void cli_add_spec_router(lua_State *L)
{
    lua_pushcfunction(L, spec_router);
    lua_setfield(L, -2, "spec_router");
}
