/* statement - see statement.h. */
#include "script/statement.h"

#include "script/convert.h"
#include "script/suggest.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { SQL_SHOWN = 200, NAMED_MAX = 128, MENTION = 24 };

void statement_finish(struct script *s)
{
    const struct script_host *host = s->settings.host;

    if (s->call.stmt != NULL)
        host->finish(host->arg, s->call.stmt);
    s->call.stmt = NULL;
}

/* The statement on one line, cut. */
static void shorten(char *out, size_t size, struct slice sql)
{
    size_t n = 0;
    bool space = true; /* leading ones are dropped */

    for (size_t i = 0; i < sql.len && n < size - 4; i++) {
        bool blank = isspace((unsigned char)sql.data[i]) || sql.data[i] == '\0';

        if (!blank)
            out[n++] = sql.data[i];
        else if (!space)
            out[n++] = ' ';
        space = blank;
    }
    out[n] = '\0';
    if (n >= size - 4) {
        n = text_utf8_prefix(out, n);
        memcpy(out + n, "...", 4);
    }
}

/* The host may have put the statement into its words already. */
static bool mentions(const char *text, struct slice sql)
{
    size_t n = sql.len < MENTION ? sql.len : MENTION;

    return n >= MENTION / 2 && memmem(text, strlen(text), sql.data, n) != NULL;
}

/* RAISES always, after call.stmt was given back. */
_Noreturn static void fail(lua_State *L, struct script *s, int sql, struct err *err)
{
    struct slice text;
    char shown[SQL_SHOWN + 4];

    statement_finish(s);
    if (err->code == ERR_TX_LOST || err_is_environment(err->code))
        state_end(L, err);
    text.data = lua_tolstring(L, sql, &text.len);
    if (mentions(err->text, text))
        luaL_error(L, "%s", err->text);
    shorten(shown, sizeof shown, text);
    luaL_error(L, "%s, in: %s", err->text, shown);
    abort(); /* luaL_error does not return */
}

/* RAISES a mistake in the parameters, which the host has not seen. */
static _Noreturn void refuse(lua_State *L, struct script *s, const char *text)
{
    struct err err;

    err_set(&err, ERR_SCRIPT, "%s", text);
    fail(L, s, STATEMENT_SQL, &err);
}

static void bind(lua_State *L, struct script *s, int parameter, int index, const char *name)
{
    const struct script_host *host = s->settings.host;
    struct value v;
    struct err err;

    if (!convert_to_value(L, index, &v))
        refuse(L, s,
               lua_pushfstring(L, "parameter %s is a %s: SQL takes strings, numbers, booleans, nil",
                               name, luaL_typename(L, index)));
    if (host->bind(host->arg, s->call.stmt, parameter, &v, &err) != OK)
        fail(L, s, STATEMENT_SQL, &err);
}

static void bind_by_position(lua_State *L, struct script *s, int given)
{
    const struct script_host *host = s->settings.host;
    int wanted = host->parameters(host->arg, s->call.stmt);
    char number[16];

    if (given != wanted)
        refuse(L, s,
               lua_pushfstring(L, "the statement has %d parameter%s, %d value%s given", wanted,
                               wanted == 1 ? "" : "s", given, given == 1 ? " was" : "s were"));
    for (int i = 1; i <= wanted; i++) {
        snprintf(number, sizeof number, "%d", i);
        bind(L, s, i, STATEMENT_SQL + i, number);
    }
}

/* "id" for ":id", "@id", "$id"; NULL for "?" and "?3", which have no name. */
static const char *bare_name(const struct script *s, int parameter)
{
    const struct script_host *host = s->settings.host;
    const char *name = host->parameter_name(host->arg, s->call.stmt, parameter);

    return name == NULL || name[0] == '?' || name[0] == '\0' ? NULL : name + 1;
}

/* A name that the statement does not know is a slip of the pen. */
static void check_names(lua_State *L, struct script *s, int table, int wanted)
{
    const char *known[NAMED_MAX];
    size_t n = 0;

    for (int i = 1; i <= wanted && n < NAMED_MAX; i++) {
        known[n] = bare_name(s, i);
        if (known[n] != NULL)
            n++;
    }
    lua_pushnil(L);
    while (lua_next(L, table)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
        size_t i = 0;

        lua_pop(L, 1);
        if (key == NULL)
            refuse(L, s, "a table of parameters has names; give a list as separate values");
        while (i < n && strcmp(known[i], key) != 0)
            i++;
        if (i < n || n == NAMED_MAX)
            continue;
        suggest_push(L, key, known, n);
        refuse(
            L, s,
            lua_pushfstring(L, "the statement has no parameter '%s'%s", key, lua_tostring(L, -1)));
    }
}

static void bind_by_name(lua_State *L, struct script *s, int table)
{
    const struct script_host *host = s->settings.host;
    int wanted = host->parameters(host->arg, s->call.stmt);

    for (int i = 1; i <= wanted; i++) {
        const char *name = bare_name(s, i);

        if (name == NULL)
            refuse(L, s,
                   lua_pushfstring(L,
                                   "parameter %d has no name: write :name in the statement, or "
                                   "give separate values",
                                   i));
        lua_pushstring(L, name);
        lua_rawget(L, table);
        if (lua_isnil(L, -1)) {
            check_names(L, s, table, wanted);
            refuse(L, s,
                   lua_pushfstring(L, "no value for parameter '%s'; herald.null means NULL", name));
        }
        bind(L, s, i, lua_gettop(L), name);
        lua_pop(L, 1);
    }
    check_names(L, s, table, wanted);
}

void statement_begin(lua_State *L, struct script *s)
{
    const struct script_host *host = s->settings.host;
    int given = lua_gettop(L) - STATEMENT_SQL;
    struct slice sql;
    struct err err;

    sql.data = luaL_checklstring(L, STATEMENT_SQL, &sql.len);
    luaL_checkstack(L, 10, NULL);
    statement_finish(s); /* one that an earlier Lua error left behind */
    if (host->prepare(host->arg, sql, &s->call.stmt, &err) != OK) {
        s->call.stmt = NULL;
        fail(L, s, STATEMENT_SQL, &err);
    }
    if (given == 1 && lua_type(L, STATEMENT_SQL + 1) == LUA_TTABLE)
        bind_by_name(L, s, STATEMENT_SQL + 1);
    else
        bind_by_position(L, s, given);
}

int statement_step(lua_State *L, struct script *s, void *stmt, int sql)
{
    const struct script_host *host = s->settings.host;
    struct err err;
    int rc = host->step(host->arg, stmt, &err);

    if (rc < 0)
        fail(L, s, sql, &err);
    return rc;
}

void statement_push_column(lua_State *L, void *stmt, int column)
{
    const struct script_host *host = host_of(L);
    struct value v;

    host->column(host->arg, stmt, column, &v);
    convert_push(L, &v);
}

void statement_push_row(lua_State *L, void *stmt)
{
    const struct script_host *host = host_of(L);
    int n = host->columns(host->arg, stmt);

    lua_createtable(L, 0, n);
    for (int i = 0; i < n; i++) {
        lua_pushstring(L, host->column_name(host->arg, stmt, i));
        statement_push_column(L, stmt, i);
        lua_rawset(L, -3);
    }
}
