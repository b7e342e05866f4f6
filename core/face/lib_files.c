/* lib_files - herald.core for the command line: folders, and the files in the binary (cli.h). */
#include "face/cli.h"
#include "script/builtin.h"

#include <dirent.h>
#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include <sys/stat.h>

#define DIR_CLASS "herald.cli.dir"

/* A folder that closes itself when a Lua error passes by. */
static int close_dir(lua_State *L)
{
    DIR **dir = luaL_checkudata(L, 1, DIR_CLASS);

    if (*dir != NULL)
        (void)closedir(*dir); /* only read */
    *dir = NULL;
    return 0;
}

static DIR **new_dir(lua_State *L)
{
    DIR **dir = lua_newuserdatauv(L, sizeof(DIR *), 0);

    *dir = NULL;
    if (luaL_newmetatable(L, DIR_CLASS)) {
        lua_pushcfunction(L, close_dir);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return dir;
}

/* "folder", "file", or "other": a pipe, a device, a link to nothing */
static const char *kind_of(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return "other";
    return S_ISDIR(st.st_mode) ? "folder" : S_ISREG(st.st_mode) ? "file" : "other";
}

static int fail_with_errno(lua_State *L)
{
    lua_pushnil(L);
    lua_pushstring(L, strerror(errno));
    return 2;
}

/* kind(path) -> "folder", "file", "other", or nil where there is nothing */
static int path_kind(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct stat st;

    if (lstat(path, &st) != 0)
        return 0;
    lua_pushstring(L, kind_of(path));
    return 1;
}

/* list(path) -> {name, ...} without hidden ones, in no order; or nil and why */
static int list_folder(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    DIR **dir = new_dir(L);
    struct dirent *entry;
    lua_Integer n = 0;

    *dir = opendir(path);
    if (*dir == NULL)
        return fail_with_errno(L);
    lua_newtable(L);
    errno = 0;
    while ((entry = readdir(*dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            lua_pushstring(L, entry->d_name);
            lua_rawseti(L, -2, ++n);
        }
        errno = 0;
    }
    return errno == 0 ? 1 : fail_with_errno(L);
}

/* make_folder(path) -> true, also where there is one; or nil and why */
static int make_folder(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);

    if (mkdir(path, 0777) != 0 && (errno != EEXIST || strcmp(kind_of(path), "folder") != 0))
        return fail_with_errno(L);
    lua_pushboolean(L, 1);
    return 1;
}

/* embedded(name) -> the text of a file in the binary, or nil */
static int embedded_text(lua_State *L)
{
    const struct embedded *file = embedded_find(luaL_checkstring(L, 1));

    if (file == NULL)
        return 0;
    lua_pushlstring(L, file->bytes, file->len);
    return 1;
}

void cli_add_files(lua_State *L)
{
    static const luaL_Reg functions[] = {{"kind", path_kind},
                                         {"list", list_folder},
                                         {"make_folder", make_folder},
                                         {"embedded", embedded_text},
                                         {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
}
