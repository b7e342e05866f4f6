/* cursor - see cursor.h. */
#include "script/cursor.h"

#include "script/statement.h"

#include <lauxlib.h>

#define CURSOR_CLASS "herald.query"

enum { SQL_VALUE = 1, CURSOR_SQL = 2 };

struct cursor {
    void *stmt;           /* owned; NULL once given back */
    uint64_t serial;      /* of the call it belongs to */
    struct cursor *next;  /* of the call's open cursors */
    struct cursor **link; /* what points to this one */
    /* user value 1: the text, for errors */
};

static void close_cursor(struct script *s, struct cursor *c)
{
    const struct script_host *host = s->settings.host;

    if (c->stmt == NULL)
        return;
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    host->finish(host->arg, c->stmt);
    c->stmt = NULL;
}

void cursor_close_all(struct script *s)
{
    while (s->call.cursors != NULL)
        close_cursor(s, s->call.cursors);
}

/* Moves the statement from the call into the cursor. */
static void adopt(struct script *s, struct cursor *c)
{
    c->stmt = s->call.stmt;
    s->call.stmt = NULL;
    c->next = s->call.cursors;
    c->link = &s->call.cursors;
    if (c->next != NULL)
        c->next->link = &c->next;
    s->call.cursors = c;
}

int cursor_query(lua_State *L, struct script *s)
{
    struct cursor *c;
    int top;

    statement_begin(L, s);
    c = lua_newuserdatauv(L, sizeof *c, 1);
    *c = (struct cursor){.serial = s->call.serial};
    top = lua_gettop(L);
    luaL_setmetatable(L, CURSOR_CLASS);
    lua_pushvalue(L, STATEMENT_SQL);
    lua_setiuservalue(L, top, SQL_VALUE);
    adopt(s, c);
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, top); /* the closing value of the generic for */
    return 4;
}

static int cursor_next(lua_State *L)
{
    struct cursor *c = luaL_checkudata(L, 1, CURSOR_CLASS);
    struct script *s = script_of(L);

    if (s->call.message == NULL || c->serial != s->call.serial)
        return luaL_error(L, "query used after its handler returned");
    state_check(L);
    if (c->stmt == NULL)
        return 0;
    lua_settop(L, 1);
    lua_getiuservalue(L, 1, SQL_VALUE);
    if (statement_step(L, s, c->stmt, CURSOR_SQL) == 0) {
        close_cursor(s, c);
        return 0;
    }
    statement_push_row(L, c->stmt);
    return 1;
}

static int cursor_end(lua_State *L)
{
    close_cursor(script_of(L), luaL_checkudata(L, 1, CURSOR_CLASS));
    return 0;
}

static const luaL_Reg methods[] = {
    {"__call", cursor_next}, {"__close", cursor_end}, {"__gc", cursor_end}, {NULL, NULL}};

void cursor_open(lua_State *L)
{
    luaL_newmetatable(L, CURSOR_CLASS);
    luaL_setfuncs(L, methods, 0);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
