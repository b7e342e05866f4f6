/*
 * lib_testing - herald.core for the command line: the open Lua state in which specs run (cli.h)
 *
 * Specs are their author's program: they get all libraries, and modules of the machine
 * (busted among them). So they run in a state of their own, apart from the command line's
 * and from those of the rules, and the binary gives them herald.testing and what it needs.
 */
#include "base/json.h"
#include "face/cli.h"
#include "face/lib_spec.h"
#include "script/convert.h"
#include "script/decode.h"
#include "script/encode.h"

#include <lauxlib.h>
#include <string.h>

enum { WORDS_MAX = 1000 };

/* What goes to the other state, and what comes back. */
struct errand {
    const char *words[WORDS_MAX]; /* of busted's command line; lent */
    size_t n_words;
    int code; /* exit code */
};

/* json_decode(text, what) -> the value; numbers stay exact */
static int json_decode(lua_State *L)
{
    struct slice text;
    const char *what = luaL_checkstring(L, 2);

    text.data = luaL_checklstring(L, 1, &text.len);
    decode_json(L, cli_push_buf(L, JSON_TAPE_MAX), text, what);
    return 1;
}

static int free_encoder(lua_State *L)
{
    encoder_free(lua_touserdata(L, 1));
    return 0;
}

/* json_encode(value, what) -> text, with the keys of objects in order */
static int json_encode(lua_State *L)
{
    const char *what = luaL_checkstring(L, 2);
    struct encoder *e = lua_newuserdatauv(L, sizeof *e, 0);

    encoder_init(e);
    if (luaL_newmetatable(L, "herald.cli.encoder")) {
        lua_pushcfunction(L, free_encoder);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    encode_json(L, e, 1, what);
    lua_pushlstring(L, e->out.data, e->out.len);
    return 1;
}

static int open_core(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"json_decode", json_decode}, {"json_encode", json_encode}, {NULL, NULL}};

    convert_open(L);
    decode_open(L);
    luaL_newlib(L, functions);
    cli_add_system(L);
    cli_add_files(L);
    cli_add_spec_router(L);
    convert_push_null(L);
    lua_setfield(L, -2, "null");
    return 1;
}

/* A searcher in front of the others: what is named herald.* comes from the binary, and the
 * settings with it. Specs may have modules of any other name. */
static int search_herald(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);

    if (strncmp(name, "herald.", 7) == 0 || strcmp(name, "cli.settings") == 0 ||
        strcmp(name, "cli.folder") == 0)
        return cli_search_embedded(L);
    lua_pushfstring(L, "'%s' is no module of herald's", name);
    return 1;
}

static void add_searcher(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers");
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1); i >= 1; i--) {
        lua_rawgeti(L, -1, i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushcfunction(L, search_herald);
    lua_rawseti(L, -2, 1);
    lua_pop(L, 2);
}

/* Runs in the new state, under cli_protect. */
static int run_there(lua_State *L)
{
    struct errand *e = lua_touserdata(L, 1);

    cli_open_libraries(L);
    luaL_requiref(L, "herald.core", open_core, 0);
    add_searcher(L);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "herald.testing.run");
    lua_call(L, 1, 1);
    lua_createtable(L, (int)e->n_words, 0);
    for (size_t i = 0; i < e->n_words; i++) {
        lua_pushstring(L, e->words[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_call(L, 1, 1);
    e->code = (int)luaL_checkinteger(L, -1);
    return 0;
}

/* Nothing of `L` is touched while the new state is open. */
static int in_new_state(struct errand *e, struct err *err)
{
    lua_State *L = luaL_newstate();
    int rc;

    if (L == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    rc = cli_protect(L, run_there, e, err);
    lua_close(L);
    return rc;
}

/* run_specs(words) -> exit code, or nil, kind, why. `words` is busted's command line. */
static int run_specs(lua_State *L)
{
    struct errand *e;
    struct err err = {0};

    luaL_checktype(L, 1, LUA_TTABLE);
    e = lua_newuserdatauv(L, sizeof *e, 0);
    *e = (struct errand){.n_words = (size_t)lua_rawlen(L, 1), .code = 1};
    luaL_argcheck(L, e->n_words <= WORDS_MAX, 1, "too many words");
    for (size_t i = 0; i < e->n_words; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        e->words[i] = luaL_checkstring(L, -1);
        lua_pop(L, 1); /* the table still holds it */
    }
    if (in_new_state(e, &err) != OK)
        return cli_push_error(L, &err);
    lua_pushinteger(L, e->code);
    return 1;
}

void cli_add_testing(lua_State *L)
{
    lua_pushcfunction(L, run_specs);
    lua_setfield(L, -2, "run_specs");
}
