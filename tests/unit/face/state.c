/* state - see state.h. */
#include "state.h"

#include <fcntl.h>
#include <ftw.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void *allocate(void *arg, void *old, size_t old_size, size_t size)
{
    struct state *s = arg;
    size_t had = old != NULL ? old_size : 0; /* else it is a kind of value */
    void *new;

    if (size > had && s->most > 0 && s->bytes + size - had > s->most)
        return NULL;
    if (size == 0) {
        free(old);
        s->bytes -= had;
        return NULL;
    }
    new = realloc(old, size);
    if (new != NULL)
        s->bytes += size - had;
    return new;
}

void state_setup(struct state *s)
{
    snprintf(s->folder, sizeof s->folder, "/tmp/herald-state-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    s->home = open(".", O_RDONLY | O_DIRECTORY);
    assert_true(s->home >= 0);
    assert_int_equal(chdir(s->folder), 0);
    s->L = lua_newstate(allocate, s);
    assert_non_null(s->L);
    cli_open_libraries(s->L);
    luaL_requiref(s->L, "herald.core", cli_open_core, 0);
    lua_setglobal(s->L, "core");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

void state_teardown(struct state *s)
{
    lua_close(s->L);
    assert_int_equal(fchdir(s->home), 0);
    close(s->home);
    nftw(s->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *state_run(struct state *s, const char *lua)
{
    static char text[8192];
    size_t used = 0;

    lua_settop(s->L, 0);
    if (luaL_loadstring(s->L, lua) != LUA_OK)
        fail_msg("%s: %s", lua, lua_tostring(s->L, -1));
    (void)lua_pcall(s->L, 0, LUA_MULTRET, 0); /* its error is a text as well */
    text[0] = '\0';
    for (int i = 1, n = lua_gettop(s->L); i <= n; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i > 1 ? ", " : "",
                                 luaL_tolstring(s->L, i, NULL));
        assert_true(used < sizeof text);
    }
    lua_settop(s->L, 0);
    return text;
}

void state_write(const char *name, const char *text)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof path, "%s", name);
    for (char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700); /* may be there; fopen tells */
        *slash = '/';
    }
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}
