/* lib_log - see lib_log.h. */
#include "script/lib_log.h"

#include "script/encode.h"
#include "script/script_int.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS_MAX = 24, OWN_FIELDS = 2, KEY_MAX = 64 };

/* Pushes "rules/enrol.lua:12" for the caller, or "". */
static const char *push_place(lua_State *L)
{
    size_t len;
    const char *where;

    luaL_where(L, 1);
    where = lua_tolstring(L, -1, &len);
    if (len > 2)
        where = lua_pushlstring(L, where, len - 2); /* without ": " */
    return where;
}

/* Keys go into the line as they are. */
static const char *check_key(lua_State *L, int index)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    const char *key = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : NULL;
    size_t len = key ? strlen(key) : 0;

    if (len == 0 || len > KEY_MAX || strspn(key, allowed) != len)
        luaL_error(L, "herald.log: a field's name is made of letters, digits, '_', '.' and '-'");
    return key;
}

static int compare_fields(const void *a, const void *b)
{
    const struct log_field *x = a, *y = b;

    return strcmp(x->key, y->key);
}

/* Appends the fields of the table at `index`, by name. Their keys and texts stay on the
 * stack until the line is written. */
static size_t take_fields(lua_State *L, int index, struct log_field *out)
{
    size_t n = 0;

    lua_pushnil(L);
    while (lua_next(L, index)) {
        const char *key = check_key(L, -2);

        if (n == FIELDS_MAX)
            luaL_error(L, "herald.log: more than %d fields", FIELDS_MAX);
        if (lua_isinteger(L, -1)) {
            out[n] = log_int(key, lua_tointeger(L, -1));
        } else {
            size_t len;
            const char *text = luaL_tolstring(L, -1, &len);

            out[n] = log_bytes(key, text, len);
            lua_replace(L, -2);
        }
        n++;
        lua_pushvalue(L, -2); /* the key for the next step; value and key stay below */
    }
    qsort(out, n, sizeof *out, compare_fields);
    return n;
}

static void write_line(lua_State *L, enum log_level level, int text, int fields)
{
    const struct script_host *host = host_of(L);
    struct log_field all[OWN_FIELDS + FIELDS_MAX + 1];
    size_t n = OWN_FIELDS, len;
    const char *words;

    luaL_checkstack(L, 2 * FIELDS_MAX + 8, NULL);
    words = luaL_tolstring(L, text, &len);
    all[0] = log_bytes("text", words, len);
    all[1] = log_text("place", push_place(L));
    if (fields != 0)
        n += take_fields(L, fields, all + OWN_FIELDS);
    all[n] = (struct log_field){.key = NULL};
    host->log(host->arg, level, "script.log", all);
}

/* Upvalue 1: the level. */
static int log_at_level(lua_State *L)
{
    enum log_level level = (enum log_level)lua_tointeger(L, lua_upvalueindex(1));

    luaL_checkany(L, 1);
    lua_settop(L, 2);
    if (!lua_isnil(L, 2))
        luaL_checktype(L, 2, LUA_TTABLE);
    write_line(L, level, 1, lua_isnil(L, 2) ? 0 : 2);
    return 0;
}

int lib_log_print(lua_State *L)
{
    int n = lua_gettop(L);
    luaL_Buffer b;

    luaL_buffinit(L, &b);
    for (int i = 1; i <= n; i++) {
        if (i > 1)
            luaL_addchar(&b, '\t');
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    write_line(L, LOG_INFO, lua_gettop(L), 0);
    return 0;
}

void lib_log_push(lua_State *L)
{
    static const struct {
        const char *name;
        enum log_level level;
    } levels[] = {
        {"debug", LOG_DEBUG}, {"info", LOG_INFO}, {"warn", LOG_WARN}, {"error", LOG_ERROR}};

    lua_createtable(L, 0, 4);
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        lua_pushinteger(L, (lua_Integer)levels[i].level);
        lua_pushcclosure(L, log_at_level, 1);
        lua_setfield(L, -2, levels[i].name);
    }
}
