/* cli_settings - settings and folders from Lua (cli.h). */
#include "base/settings.h"
#include "face/cli.h"

#include <lauxlib.h>
#include <string.h>

static double number_field(lua_State *L, const char *name)
{
    double n;

    lua_getfield(L, -1, name);
    n = luaL_checknumber(L, -1);
    lua_pop(L, 1);
    return n;
}

/* Of the table on top. */
static struct retry_policy read_policy(lua_State *L)
{
    struct retry_policy p = {.attempts = (int)number_field(L, "attempts"),
                             .factor = number_field(L, "factor"),
                             .delay_max_ms = (int64_t)number_field(L, "max_delay"),
                             .jitter = number_field(L, "jitter"),
                             .max_age_ms = (int64_t)number_field(L, "max_age")};
    const size_t room = sizeof p.delay_ms / sizeof p.delay_ms[0];

    lua_getfield(L, -1, "delays");
    for (size_t n = (size_t)lua_rawlen(L, -1); p.n_delays < n && p.n_delays < room;) {
        lua_rawgeti(L, -1, (lua_Integer)p.n_delays + 1);
        p.delay_ms[p.n_delays++] = luaL_checkinteger(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return p;
}

static int64_t read_choice(lua_State *L, const struct setting *s)
{
    const char *word = luaL_checkstring(L, -1);
    int64_t n = 0;

    while (s->choices[n] != NULL && strcmp(s->choices[n], word) != 0)
        n++;
    if (s->choices[n] == NULL)
        luaL_error(L, "setting %s has no choice \"%s\"", s->name, word);
    return n;
}

/* A text of the table on top, which keeps it; NULL: there is none. */
static const char *text_or_null(lua_State *L, const char *name)
{
    const char *text;

    lua_getfield(L, -1, name);
    text = luaL_optstring(L, -1, NULL);
    lua_pop(L, 1);
    return text;
}

/* Of the table on top. */
static struct tls_settings read_tls(lua_State *L)
{
    struct tls_settings tls = {.ca = text_or_null(L, "ca"),
                               .cert = text_or_null(L, "cert"),
                               .key = text_or_null(L, "key"),
                               .server_name = text_or_null(L, "server_name")};
    const char *version = text_or_null(L, "min_version");

    tls.min_version = version != NULL && strcmp(version, "1.3") == 0 ? TLS_1_3 : TLS_1_2;
    lua_getfield(L, -1, "verify");
    tls.verify = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    return tls;
}

/* Of the table on top. */
static struct admin_settings read_admin(lua_State *L)
{
    return (struct admin_settings){.listen = text_or_null(L, "listen"),
                                   .token_file = text_or_null(L, "token_file"),
                                   .read_token_file = text_or_null(L, "read_token_file"),
                                   .hosts = text_or_null(L, "hosts"),
                                   .rate = (int64_t)number_field(L, "rate")};
}

/* From the value on top. */
static void read_setting(lua_State *L, const struct setting *s, struct settings *out)
{
    void *place = (char *)out + s->offset;

    switch (s->kind) {
    case SETTING_TEXT:
        *(const char **)place = luaL_checkstring(L, -1);
        break;
    case SETTING_NUMBER:
        *(int64_t *)place = luaL_checkinteger(L, -1);
        break;
    case SETTING_CHOICE:
        *(int64_t *)place = read_choice(L, s);
        break;
    case SETTING_POLICY:
        luaL_checktype(L, -1, LUA_TTABLE);
        *(struct retry_policy *)place = read_policy(L);
        break;
    case SETTING_TLS:
        luaL_checktype(L, -1, LUA_TTABLE);
        *(struct tls_settings *)place = read_tls(L);
        break;
    case SETTING_ADMIN:
        luaL_checktype(L, -1, LUA_TTABLE);
        *(struct admin_settings *)place = read_admin(L);
        break;
    }
}

void cli_read_settings(lua_State *L, int index, struct settings *out)
{
    luaL_checktype(L, index, LUA_TTABLE);
    for (const struct setting *s = settings_list; s->name != NULL; s++) {
        if (lua_getfield(L, index, s->name) != LUA_TNIL)
            read_setting(L, s, out);
        lua_pop(L, 1);
    }
}

/* A text of the table on top, which keeps it. */
static const char *text_field(lua_State *L, const char *name)
{
    const char *text;

    lua_getfield(L, -1, name);
    text = luaL_checkstring(L, -1);
    lua_pop(L, 1);
    return text;
}

const struct script_folder *cli_push_folders(lua_State *L, int index, size_t *n_out)
{
    struct script_folder *folders;
    int list;

    lua_getfield(L, index, "folders");
    luaL_checktype(L, -1, LUA_TTABLE);
    list = lua_gettop(L);
    *n_out = (size_t)lua_rawlen(L, list);
    folders = lua_newuserdatauv(L, *n_out * sizeof *folders, 0);
    for (size_t i = 0; i < *n_out; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        folders[i].path = text_field(L, "path");
        folders[i].namespace_ = text_field(L, "namespace");
        lua_pop(L, 1);
    }
    lua_remove(L, list);
    return folders;
}
