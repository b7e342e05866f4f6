/*
 * lib_lists - herald.core for the command line: what the store has (cli.h)
 *
 * Rows become tables column by column (list.h). Pushing may raise while a query runs: the list
 * belongs to the store's userdata.
 */
#include "base/trace_context.h"
#include "face/cli_store.h"
#include "script/convert.h"
#include "store/list.h"

#include <lauxlib.h>
#include <string.h>

static void push_rows(lua_State *L, struct list *l, struct err *err);

/* The field of a column, in the table on top of the stack. */
static void set_column(lua_State *L, struct list *l, int column, struct err *err)
{
    const char *name = list_name(l, column);
    const struct value *v = list_value(l, column);
    size_t len = strcspn(name, "?[");

    lua_pushlstring(L, name, len);
    if (name[len] == '?')
        lua_pushboolean(L, v->integer != 0);
    else if (name[len] == '[')
        push_rows(L, list_inner(l, column, err), err);
    else
        convert_push(L, v);
    lua_rawset(L, -3);
}

/* Pushes the row at hand. */
static void push_row(lua_State *L, struct list *l, struct err *err)
{
    lua_createtable(L, 0, list_columns(l));
    for (int i = 0; i < list_columns(l); i++)
        set_column(L, l, i, err);
}

/* Pushes a table of the rows that come; after an error, of those before it. */
static void push_rows(lua_State *L, struct list *l, struct err *err)
{
    lua_newtable(L);
    for (lua_Integer i = 1; err->code == OK && list_next(l, err) == 1; i++) {
        push_row(L, l, err);
        lua_rawseti(L, -2, i);
    }
}

static const struct {
    const char *list, *get; /* the functions' names; `get` NULL: there is none */
    enum list_view view;
    const char *what, *where, *command; /* words where there is no such row */
} lists[] = {
    {"dead_list", "dead_get", LIST_LETTERS, "dead letter", "", "dead"},
    {"retries_list", "retries_get", LIST_RETRIES, "retry", "", "retries"},
    {"outbox_list", "outbox_get", LIST_OUTBOX, "outbox row", "", "outbox"},
    {"history_list", "history_get", LIST_HISTORY, "message", " in the history", "history"},
    {"inbox_list", NULL, LIST_INBOX, "", "", ""},
    {"dead_groups", NULL, LIST_LETTER_GROUPS, "", "", ""},
    {"lanes_list", NULL, LIST_LANES, "", "", ""},
};

enum { LISTS = sizeof lists / sizeof lists[0], SPANS_MOST = 20 };

/* (path, pick with after and limit, or a limit alone) -> list of rows, or nil, kind, why */
static int list_rows(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct list_of of = {.view = lists[lua_tointeger(L, lua_upvalueindex(1))].view};
    struct err err = {0};
    struct cli_store *s;

    if (lua_isinteger(L, 2)) {
        of.limit = (size_t)lua_tointeger(L, 2);
    } else {
        of.pick = cli_get_pick(L, 2);
        of.after = cli_get_integer(L, 2, "after", 0);
        of.limit = (size_t)cli_get_integer(L, 2, "limit", 100);
    }
    s = cli_store_open(L, path, false, &err);
    if (err.code == OK)
        list_open(&s->list, s->db, &of, &err);
    push_rows(L, s->list, &err);
    cli_store_close(s);
    return err.code == OK ? 1 : cli_push_error(L, &err);
}

/* (path, id) -> the row, whole, or nil, kind, why */
static int get_row(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    lua_Integer which = lua_tointeger(L, lua_upvalueindex(1));
    struct list_of of = {.view = lists[which].view, .id = luaL_checkinteger(L, 2)};
    struct err err = {0};
    struct cli_store *s = cli_store_open(L, path, false, &err);

    if (err.code == OK)
        list_open(&s->list, s->db, &of, &err);
    if (err.code == OK && list_next(s->list, &err) == 1)
        push_row(L, s->list, &err);
    else if (err.code == OK)
        err_set(&err, ERR_NOT_FOUND, "no %s %lld%s: `herald %s list` shows those there are",
                lists[which].what, (long long)of.id, lists[which].where, lists[which].command);
    cli_store_close(s);
    return err.code == OK ? 1 : cli_push_error(L, &err);
}

/* What is known of a message that came to a queue: its trace, and a table of the spans that its
 * handler may have had in it, which what it emitted names. */
static void push_spans(lua_State *L, const struct trace_context *c, struct slice store,
                       struct slice queue, struct slice id)
{
    char span[TRACE_SPAN_LEN + 1];

    lua_pushstring(L, c->trace);
    lua_createtable(L, SPANS_MOST, 0);
    for (int attempt = 1; attempt <= SPANS_MOST; attempt++) {
        trace_context_make_try(span, c, store, queue, id, attempt);
        lua_pushstring(L, span);
        lua_rawseti(L, -2, attempt);
    }
}

/* (path, queue, message id, its headers or nil) -> its trace, spans by attempt, or nil, kind, why
 */
static int trace_spans(lua_State *L)
{
    struct slice queue, id, headers = {NULL, 0}, store;
    struct trace_context c;
    struct err err = {0};
    struct cli_store *s;

    queue.data = luaL_checklstring(L, 2, &queue.len);
    id.data = luaL_checklstring(L, 3, &id.len);
    headers.data = luaL_optlstring(L, 4, NULL, &headers.len);
    s = cli_store_open(L, luaL_checkstring(L, 1), false, &err);
    if (err.code != OK)
        return cli_push_error(L, &err);
    store = slice_of(db_store_id(s->db, INT64_MAX));
    if (!trace_context_read(&c, headers))
        trace_context_make_message(&c, store, queue, id);
    push_spans(L, &c, store, queue, id);
    cli_store_close(s);
    return 2;
}

static void add(lua_State *L, const char *name, lua_CFunction fn, lua_Integer which)
{
    lua_pushinteger(L, which);
    lua_pushcclosure(L, fn, 1);
    lua_setfield(L, -2, name);
}

void cli_add_lists(lua_State *L)
{
    for (lua_Integer i = 0; i < LISTS; i++) {
        add(L, lists[i].list, list_rows, i);
        if (lists[i].get != NULL)
            add(L, lists[i].get, get_row, i);
    }
    lua_pushcfunction(L, trace_spans);
    lua_setfield(L, -2, "trace_spans");
}
