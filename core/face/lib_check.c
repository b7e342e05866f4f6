/*
 * lib_check - herald.core for the command line: what look.h finds, for Lua (cli.h)
 */
#include "base/json.h"
#include "face/cli.h"
#include "face/look.h"
#include "rabbit/credentials.h"
#include "script/convert.h"
#include "script/decode.h"

#include <lauxlib.h>
#include <string.h>

#define LOOK_CLASS "herald.cli.look"

static int close_look(lua_State *L)
{
    look_close(luaL_checkudata(L, 1, LOOK_CLASS));
    return 0;
}

static struct look *new_look(lua_State *L)
{
    struct look *k = lua_newuserdatauv(L, sizeof *k, 0);

    look_init(k);
    if (luaL_newmetatable(L, LOOK_CLASS)) {
        lua_pushcfunction(L, close_look);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return k;
}

static void set_problem(lua_State *L, const char *name, const struct err *err)
{
    if (err->code != OK)
        convert_set_slice(L, name, slice_of(err->text));
}

/* A list of what was declared of a kind, each with its origin. */
static void set_list(lua_State *L, const struct rules *rules, enum rule_kind kind)
{
    struct buf *tape = cli_push_buf(L, JSON_TAPE_MAX);
    struct rule rule;

    lua_createtable(L, (int)rules_count(rules, kind), 0);
    for (size_t i = 0; rules_at(rules, kind, i, &rule); i++) {
        decode_json(L, tape, slice_of(rule.json), "a rule");
        convert_set_slice(L, "origin", slice_of(rule.origin));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_remove(L, -2); /* the tape */
}

static void set_rules(lua_State *L, const struct rules *rules)
{
    static const char *const names[RULE_KINDS] = {[RULE_SUBSCRIPTION] = "subscriptions",
                                                  [RULE_ROUTE] = "routes",
                                                  [RULE_HANDLER] = "handlers"};

    for (int kind = 0; kind < RULE_KINDS; kind++) {
        set_list(L, rules, (enum rule_kind)kind);
        lua_setfield(L, -2, names[kind]);
    }
}

static void set_constants(lua_State *L, const struct found *f)
{
    static const char *const kinds[] = {"sql", "emit", "dot", "field", "header"};

    lua_newtable(L);
    for (lua_Integer n = 1; f != NULL; f = f->next, n++) {
        lua_newtable(L);
        convert_set_slice(L, "kind", slice_of(kinds[f->kind]));
        convert_set_slice(L, "file", f->where);
        convert_set_integer(L, "line", f->line);
        convert_set_integer(L, "column", f->column);
        convert_set_slice(L, "text", f->text);
        convert_set_slice(L, "order_type", f->order_type);
        convert_set_slice(L, "problem", f->problem);
        convert_set_integer(L, "at", f->at);
        lua_rawseti(L, -2, n);
    }
    lua_setfield(L, -2, "constants");
}

static void set_said(lua_State *L, const char *name, const struct found *f)
{
    static const char *const words[] = {"note", "warning", "error"};

    lua_newtable(L);
    for (lua_Integer n = 1; f != NULL; f = f->next, n++) {
        lua_newtable(L);
        convert_set_slice(L, "severity", slice_of(words[f->kind]));
        convert_set_slice(L, "origin", f->where);
        convert_set_slice(L, "text", f->text);
        lua_rawseti(L, -2, n);
    }
    lua_setfield(L, -2, name);
}

/* inspect_rules(settings) -> what the rules declare and what is wrong with it, or nil, kind,
 * why. `settings` as for run; settings.live: to compare with the broker, too. */
static int inspect_rules(lua_State *L)
{
    struct settings settings = {.store = NULL};
    struct script_settings script;
    struct look *k;
    bool live;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    cli_read_settings(L, 1, &settings);
    script = (struct script_settings){
        .memory_max = (size_t)settings.handler_memory,
        .handler_ms = settings.handler_ms,
        .retry = settings.retry,
    };
    script.folders = cli_push_folders(L, 1, &script.n_folders);
    lua_getfield(L, 1, "live");
    live = lua_toboolean(L, -1) != 0;
    k = new_look(L);
    look_run(k, &script, live ? &settings : NULL, settings.store);
    if (k->store.code != OK)
        return cli_push_error(L, &k->store);
    lua_newtable(L);
    set_problem(L, "migrations_error", &k->migrations);
    set_problem(L, "rules_error", &k->rules);
    set_problem(L, "live_error", &k->broker);
    convert_set_slice(L, "server", slice_of(k->server));
    if (k->script != NULL)
        set_rules(L, script_rules(k->script));
    set_constants(L, k->constants.first);
    set_said(L, "live", k->live.first);
    set_said(L, "applied", k->applied.first);
    lua_pushcfunction(L, close_look); /* now, not when the garbage is collected */
    lua_pushvalue(L, -3);
    lua_call(L, 1, 0);
    return 1;
}

/* A credentials_finding_fn: a line of 'e' or 'w' and the words, which have no line end. */
static void keep_judgement(void *arg, bool error, const char *text)
{
    struct buf *lines = arg;

    (void)buf_printf(lines, "%c%s\n", error ? 'e' : 'w', text); /* a failure is remembered */
}

/* judge_credentials(settings) -> a list of {severity, text} */
static int judge_credentials(lua_State *L)
{
    struct settings settings = {.store = NULL};
    struct buf *lines = cli_push_buf(L, JSON_TAPE_MAX);
    lua_Integer n = 0;

    cli_read_settings(L, 1, &settings);
    credentials_judge(settings.broker, settings.password_file, &settings.tls, keep_judgement,
                      lines);
    if (lines->failed)
        return luaL_error(L, "out of memory for what is wrong with the credentials");
    lua_newtable(L);
    for (size_t at = 0; at < lines->len;) {
        const char *line = lines->data + at;
        const size_t len = (size_t)((const char *)memchr(line, '\n', lines->len - at) - line);

        lua_createtable(L, 0, 2);
        convert_set_slice(L, "severity", slice_of(line[0] == 'e' ? "error" : "warning"));
        convert_set_slice(L, "text", (struct slice){line + 1, len - 1});
        lua_rawseti(L, -2, ++n);
        at += len + 1;
    }
    return 1;
}

void cli_add_check(lua_State *L)
{
    lua_pushcfunction(L, judge_credentials);
    lua_setfield(L, -2, "judge_credentials");
    lua_pushcfunction(L, inspect_rules);
    lua_setfield(L, -2, "inspect_rules");
}
