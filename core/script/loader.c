/* loader - see loader.h. */
#include "script/loader.h"

#include "script/chunk.h"
#include "script/convert.h"
#include "script/decode.h"
#include "script/lib_herald.h"
#include "script/lib_log.h"
#include "script/lib_msg.h"
#include "script/lib_tx.h"
#include "script/protect.h"
#include "script/require.h"
#include "script/sandbox.h"
#include "script/verdict.h"

#include <lauxlib.h>
#include <string.h>

/* How far memory grows from one collection to the next, in percent. Most of what is made while
 * rules load stays: to look through it at each doubling is a tenth of the time. */
enum { LOADING_PAUSE = 400, LUA_PAUSE = 200 };

/* Runs under protect, before any file. */
static int open_all(lua_State *L)
{
    require_open(L);
    convert_open(L);
    decode_open(L);
    verdict_open(L);
    sandbox_open(L, lib_log_print);
    lib_msg_open(L);
    lib_tx_open(L);
    lib_herald_open(L);
    return 0;
}

/* Runs under protect: one file in an environment of its own. */
static int run_file(lua_State *L)
{
    const struct source *f = lua_touserdata(L, 1);

    chunk_push(L, f);
    lua_pushlstring(L, f->chunk + 1, f->prefix);
    require_push_env(L, lua_tostring(L, -1), "");
    lua_remove(L, -2);
    lua_setupvalue(L, -2, 1);
    lua_call(L, 0, 0);
    return 0;
}

/* True for "lib/money.lua:3: ...", which may be another file than the one being run. */
static bool names_a_file(const struct script *s, const char *text)
{
    for (size_t i = 0; i < s->sources.n; i++) {
        const char *name = s->sources.files[i].chunk + 1;
        size_t len = strlen(name);

        if (strncmp(text, name, len) == 0 && (text[len] == ':' || text[len] == '\0'))
            return true;
    }
    return false;
}

/* Words for a failure: the file is named where the error does not name it. */
static int explain(const struct script *s, const struct state *st, int rc, struct err *err)
{
    const char *file = s->file ? s->file : "the rules' library";
    const char *text = s->answer.error;

    if (st->end.code == ERR_NOMEM || (rc == ERR_NOMEM && st->refused == 0))
        return err_set(err, ERR_NOMEM, "out of memory while loading %s", file);
    if (names_a_file(s, text))
        return err_set(err, ERR_CONFIG, "%s", text);
    return err_set(err, ERR_CONFIG, "%s: %s", file, text);
}

static int run_all(struct script *s, struct state *st, struct err *err)
{
    int rc = protect(st, open_all, NULL, &s->answer);

    for (size_t i = 0; rc == OK && i < s->sources.n; i++) {
        if (s->sources.files[i].module)
            continue;
        s->file = s->sources.files[i].chunk + 1;
        rc = protect(st, run_file, &s->sources.files[i], &s->answer);
    }
    return rc == OK ? OK : explain(s, st, rc, err);
}

int loader_run(struct script *s, struct rules *rules, struct state **state_out, struct err *err)
{
    struct state *st = NULL;
    int rc = state_new(&st, &s->settings, s, err);

    if (rc != OK)
        return rc;
    s->loading = rules;
    s->file = NULL;
    lua_gc(st->L, LUA_GCINC, LOADING_PAUSE, 0, 0);
    state_start(st, st->host->cpu_ms, s->settings.load_ms,
                "a fixed one of CPU time for loading all files together: leave work to handlers");
    rc = run_all(s, st, err);
    state_stop(st);
    lua_gc(st->L, LUA_GCINC, LUA_PAUSE, 0, 0);
    s->loading = NULL;
    s->file = NULL;
    if (rc != OK) {
        state_free(&st);
        return rc;
    }
    rules_seal(rules);
    *state_out = st;
    return OK;
}
