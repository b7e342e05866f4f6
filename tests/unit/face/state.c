/* state - see state.h. */
#include "state.h"

#include "folder.h"

#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
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
    folder_make(s->folder);
    s->home = open(".", O_RDONLY | O_DIRECTORY);
    assert_true(s->home >= 0);
    assert_int_equal(chdir(s->folder), 0);
    s->L = lua_newstate(allocate, s);
    assert_non_null(s->L);
    cli_open_libraries(s->L);
    luaL_requiref(s->L, "herald.core", cli_open_core, 0);
    lua_setglobal(s->L, "core");
}

void state_teardown(struct state *s)
{
    lua_close(s->L);
    assert_int_equal(fchdir(s->home), 0);
    close(s->home);
    folder_remove(s->folder);
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
    folder_write(".", name, text);
}
