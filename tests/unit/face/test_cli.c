/* The door to the command line: what Lua raises becomes words, and nothing stays behind. */
#include "face/cli.h"
#include "state.h"

#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>

/* Runs the Lua that `arg` is. */
static int run_text(lua_State *L)
{
    if (luaL_loadstring(L, lua_touserdata(L, 1)) != LUA_OK)
        return lua_error(L);
    lua_call(L, 0, 0);
    return 0;
}

static int protect(struct state *s, const char *lua, struct err *err)
{
    return cli_protect(s->L, run_text, (void *)(uintptr_t)lua, err);
}

TEST_WITH(state, what_is_raised_becomes_words)
{
    static const struct {
        const char *lua, *words;
    } cases[] = {
        {"error('plain', 0)", "plain"},
        {"error('where')", "[string \"error('where')\"]:1: where"},
        {"error(12)", "12"},
        {"error({})", "unknown error"},
        {"error()", "unknown error"},
        {"local x = nil + 1",
         "[string \"local x = nil + 1\"]:1: attempt to perform arithmetic on a "
         "nil value"},
        {"(", "[string \"(\"]:1: unexpected symbol near <eof>"},
    };

    lua_pushliteral(f->L, "below");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = {0};

        assert_int_equal(protect(f, cases[i].lua, &err), ERR_CONFIG);
        assert_int_equal(err.code, ERR_CONFIG);
        assert_string_equal(err.text, cases[i].words);
        assert_int_equal(lua_gettop(f->L), 1);
    }
}

TEST_WITH(state, what_goes_well_leaves_no_words)
{
    struct err err = {0};

    assert_int_equal(protect(f, "done = true", &err), OK);
    assert_int_equal(err.code, OK);
    assert_int_equal(lua_gettop(f->L), 0);
    assert_gives(f, "return done", "true");
}

TEST_WITH(state, a_long_error_is_cut)
{
    struct err err = {0};

    assert_int_equal(protect(f, "error(('x'):rep(10000), 0)", &err), ERR_CONFIG);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

TEST_WITH(state, memory_that_ends_is_an_error_as_any_other)
{
    struct err err = {0};

    f->most = f->bytes + 100000;
    assert_int_equal(protect(f, "local x = ('x'):rep(1000000)", &err), ERR_CONFIG);
    assert_string_equal(err.text, "not enough memory");
    f->most = 0;
    assert_int_equal(protect(f, "local x = ('x'):rep(1000000)", &err), OK);
}

TEST_WITH(state, a_stack_without_room_is_no_crash)
{
    struct err err = {0};

    while (lua_checkstack(f->L, 1) || lua_checkstack(f->L, 1)) /* 5.4.9 grants what it refused */
        lua_pushnil(f->L);
    assert_int_equal(protect(f, "done = true", &err), ERR_NOMEM);
    assert_string_equal(err.text, "out of memory");
    lua_settop(f->L, 0);
    assert_gives(f, "return done", "nil");
}

/* Appends to a buffer and raises; the leak checker sees whether it goes. */
static int fill_and_raise(lua_State *L)
{
    struct buf *b = cli_push_buf(L, 1000);

    if (buf_text(b, "text") != OK || buf_reserve(b, 2000) != NULL)
        return luaL_error(L, "no such buffer");
    return luaL_error(L, "%d bytes", (int)b->len);
}

TEST_WITH(state, a_buffer_goes_with_the_error_that_passes_it)
{
    struct err err = {0};

    for (int i = 0; i < 10; i++) {
        assert_int_equal(cli_protect(f->L, fill_and_raise, NULL, &err), ERR_CONFIG);
        assert_string_equal(err.text, "4 bytes");
    }
    lua_gc(f->L, LUA_GCCOLLECT);
}

TEST_WITH(state, an_error_has_a_kind)
{
    static const struct {
        int code;
        const char *kind;
    } cases[] = {{ERR_CONFIG, "config"}, {ERR_NOT_FOUND, "missing"}, {ERR_INPUT, "input"},
                 {ERR_BUSY, "busy"},     {ERR_FULL, "failed"},       {ERR_UNKNOWN, "failed"}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = {.code = cases[i].code, .text = "which store?"};

        lua_settop(f->L, 0);
        assert_int_equal(cli_push_error(f->L, &err), 3);
        assert_true(lua_isnil(f->L, 1));
        assert_string_equal(lua_tostring(f->L, 2), cases[i].kind);
        assert_string_equal(lua_tostring(f->L, 3), "which store?");
    }
}

TEST_WITH(state, modules_are_in_the_binary)
{
    lua_pushcfunction(f->L, cli_search_embedded);
    lua_setglobal(f->L, "search");
    assert_gives(f, "return search 'herald.nearest'()('qeue', { 'queue' })", "queue");
    assert_gives(f, "return debug.getinfo(search 'cli.show').source", "=cli.show");
    assert_gives(f, "return search 'cli.nothing'", "no module 'cli.nothing' in the binary");
}

/* Runs the command line with standard output and error in a file; what they hold in `text`. */
static int run_words(const char *out, char *text, size_t size, const char *word)
{
    int saved[] = {dup(STDOUT_FILENO), dup(STDERR_FILENO)};
    int file = open(out, O_RDWR | O_CREAT | O_TRUNC, 0600), code;
    char name[] = "herald", command[32], *words[] = {name, command, NULL};
    ssize_t len;

    snprintf(command, sizeof command, "%s", word);
    fflush(stdout);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    code = cli_main(2, words);
    __fpurge(stdout); /* what could not be written */
    dup2(saved[0], STDOUT_FILENO);
    dup2(saved[1], STDERR_FILENO);
    close(saved[0]);
    close(saved[1]);
    lseek(file, 0, SEEK_SET);
    len = read(file, text, size - 1);
    text[len > 0 ? len : 0] = '\0';
    close(file);
    return code;
}

TEST_WITH(state, the_exit_code_says_how_it_went)
{
    char out[96], text[4096];

    snprintf(out, sizeof out, "%s/out", f->folder);
    assert_int_equal(run_words(out, text, sizeof text, "version"), 0);
    assert_int_equal(strncmp(text, "herald ", 7), 0);
    assert_int_equal(run_words(out, text, sizeof text, "versoin"), 2);
    assert_int_equal(strncmp(text, "herald: unknown command 'versoin'", 33), 0);
    state_write("herald.lua", "return {}");
    assert_int_equal(run_words(out, text, sizeof text, "status"), 1);
    assert_int_equal(strncmp(text, "herald: no store at herald.db", 29), 0);
}

TEST(what_could_not_be_printed_has_failed)
{
    char text[256];

    assert_int_equal(run_words("/dev/full", text, sizeof text, "version"), 1);
}
