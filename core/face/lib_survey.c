/* lib_survey - herald.core for the command line: a store, a disk and files looked at (cli.h)
 *
 * Nothing here changes anything; it is what `herald doctor` and `herald store stats` stand on. */
#include "face/cli.h"
#include "script/convert.h"
#include "store/sqlite/db.h"
#include "store/sqlite/survey.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SURVEY_CLASS "herald.cli.survey"
/* Where the rows of a statement that is read are kept, and who is told that it works. */
#define ROWS "herald.survey.rows"
#define TICK "herald.survey.tick"

/* A statement that is read. */
struct reading {
    lua_State *L;
    struct err err; /* of Lua, in a callback */
};

/* A row on its way into Lua. */
struct arrived {
    const struct slice *columns; /* lent */
    int n;
};

static int close_survey(lua_State *L)
{
    survey_close(luaL_checkudata(L, 1, SURVEY_CLASS));
    return 0;
}

/* Pushes nil, the code's word and the text; returns 3. */
static int push_problem(lua_State *L, const struct err *err)
{
    lua_pushnil(L);
    lua_pushstring(L, err_word(err->code));
    lua_pushstring(L, err->text);
    return 3;
}

/* survey_open(path) -> a survey, or nil, a code's word, why */
static int open_survey(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct survey **s = lua_newuserdatauv(L, sizeof(struct survey *), 0);
    struct err err = {0};

    *s = NULL;
    if (luaL_newmetatable(L, SURVEY_CLASS)) {
        lua_pushcfunction(L, close_survey);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return survey_open(s, path, &err) == OK ? 1 : push_problem(L, &err);
}

/* Runs under cli_protect. A null is false. */
static int keep_row(lua_State *L)
{
    const struct arrived *row = lua_touserdata(L, 1);

    lua_getfield(L, LUA_REGISTRYINDEX, ROWS);
    lua_createtable(L, row->n, 0);
    for (int i = 0; i < row->n; i++) {
        if (row->columns[i].data == NULL)
            lua_pushboolean(L, 0);
        else
            lua_pushlstring(L, row->columns[i].data, row->columns[i].len);
        lua_rawseti(L, -2, i + 1);
    }
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    return 0;
}

/* A survey_row_fn. */
static bool take_row(void *arg, const struct slice *columns, int n)
{
    struct reading *r = arg;
    struct arrived row = {columns, n};

    return cli_protect(r->L, keep_row, &row, &r->err) == OK;
}

/* Runs under cli_protect. */
static int call_tick(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, TICK);
    lua_call(L, 0, 0);
    return 0;
}

/* A survey_tick_fn: its error ends nothing. */
static void tick(void *arg)
{
    struct reading *r = arg;

    (void)cli_protect(r->L, call_tick, NULL, &r->err); /* told at the end */
}

/* survey_read(survey, sql [, tick]) -> list of rows, each a list of texts, or nil, a code's word,
 * why. `tick` is called now and then. */
static int read_survey(lua_State *L)
{
    struct survey **s = luaL_checkudata(L, 1, SURVEY_CLASS);
    const char *sql = luaL_checkstring(L, 2);
    const bool ticks = lua_isfunction(L, 3);
    struct reading r = {.L = L};
    struct err err = {0};

    luaL_argcheck(L, *s != NULL, 1, "is closed");
    lua_settop(L, 3);
    lua_pushvalue(L, 3);
    lua_setfield(L, LUA_REGISTRYINDEX, TICK);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, ROWS);
    survey_read(*s, sql, take_row, ticks ? tick : NULL, &r, &err);
    lua_pushnil(L);
    lua_setfield(L, LUA_REGISTRYINDEX, ROWS);
    if (r.err.code != OK)
        return luaL_error(L, "%s", r.err.text);
    return err.code == OK ? 1 : push_problem(L, &err);
}

static int push_errno(lua_State *L)
{
    lua_pushnil(L);
    lua_pushstring(L, strerror(errno));
    return 2;
}

static lua_Integer product(unsigned long n, unsigned long size)
{
    return (lua_Integer)((unsigned long long)n * size);
}

/* disk(path) -> {free, total, inodes_free, inodes, read_only} of the file system there, in bytes
 * and for those without rights, or nil and why */
static int disk(lua_State *L)
{
    struct statvfs fs;

    if (statvfs(luaL_checkstring(L, 1), &fs) != 0)
        return push_errno(L);
    lua_newtable(L);
    convert_set_integer(L, "free", product(fs.f_bavail, fs.f_frsize));
    convert_set_integer(L, "total", product(fs.f_blocks, fs.f_frsize));
    convert_set_integer(L, "inodes_free", (lua_Integer)fs.f_favail);
    convert_set_integer(L, "inodes", (lua_Integer)fs.f_files);
    lua_pushboolean(L, (fs.f_flag & ST_RDONLY) != 0);
    lua_setfield(L, -2, "read_only");
    return 1;
}

/* stat(path) -> {size, mode, owner, modified_ms, writable, readable, socket}, or nil and why */
static int stat_path(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct stat st;

    if (stat(path, &st) != 0)
        return push_errno(L);
    lua_newtable(L);
    convert_set_integer(L, "size", st.st_size);
    convert_set_integer(L, "mode", st.st_mode & 07777);
    convert_set_integer(L, "owner", st.st_uid);
    convert_set_integer(L, "modified_ms",
                        (lua_Integer)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000);
    lua_pushboolean(L, access(path, W_OK) == 0);
    lua_setfield(L, -2, "writable");
    lua_pushboolean(L, access(path, R_OK) == 0);
    lua_setfield(L, -2, "readable");
    lua_pushboolean(L, S_ISSOCK(st.st_mode));
    lua_setfield(L, -2, "socket");
    return 1;
}

void cli_add_survey(lua_State *L)
{
    static const luaL_Reg functions[] = {{"survey_open", open_survey},
                                         {"survey_read", read_survey},
                                         {"survey_close", close_survey},
                                         {"disk", disk},
                                         {"stat", stat_path},
                                         {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
    lua_pushinteger(L, db_schema_newest());
    lua_setfield(L, -2, "schema_newest");
    lua_pushinteger(L, (lua_Integer)geteuid());
    lua_setfield(L, -2, "user");
    lua_pushliteral(L, LUA_VERSION_MAJOR "." LUA_VERSION_MINOR "." LUA_VERSION_RELEASE);
    lua_setfield(L, -2, "lua_release");
}
