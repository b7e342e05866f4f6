/* state - see state.h. */
#include "script/state.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *resize(const struct state *st, void *p, size_t size)
{
    if (st->memory != NULL)
        return st->memory(st->memory_arg, p, size);
    if (size > 0)
        return realloc(p, size);
    free(p);
    return NULL;
}

bool state_is_place(lua_State *L, lua_Debug *ar)
{
    static const char own[] = "=[herald"; /* how the names of our own chunks begin */

    return lua_getinfo(L, "Sl", ar) && ar->currentline > 0 &&
           strncmp(ar->source, own, sizeof own - 1) != 0;
}

bool state_find_place(lua_State *L, int level, lua_Debug *ar)
{
    for (; lua_getstack(L, level, ar); level++)
        if (state_is_place(L, ar))
            return true;
    return false;
}

/* For a new block `old` is a type tag and not a size. Lua relies on shrinking, so a
 * block that cannot be moved to a smaller place keeps the one it has.
 *
 * Nothing here may call into Lua, which is in the middle of something: newer 5.4 releases
 * hold offsets where the pointers into the stack are, while it grows. */
static void *allocate(void *arg, void *p, size_t old, size_t size)
{
    struct state *st = arg;
    void *q;

    if (p == NULL)
        old = 0;
    if (size > old && (st->used > st->max || size - old > st->max - st->used)) {
        st->refused = size;
        return NULL;
    }
    q = resize(st, p, size);
    if (q == NULL && size > 0) {
        if (size > old)
            return NULL;
        q = p;
    }
    st->used = st->used - old + size;
    return q;
}

static bool is_late(const struct state *st)
{
    return st->deadline_ms != INT64_MAX && st->clock_ms(st->host->arg) >= st->deadline_ms;
}

/* Notes why the call is ended, with the place where the script is. The first reason is
 * kept. */
static void note_end(lua_State *L, int code, const char *text)
{
    struct state *st = state_of(L);
    lua_Debug ar;

    if (st->end.code != OK)
        return;
    if (state_find_place(L, 0, &ar) || state_find_place(st->L, 0, &ar))
        err_set(&st->end, code, "%s:%d: %s", ar.short_src, ar.currentline, text);
    else
        err_set(&st->end, code, "%s", text);
}

static void note_time(lua_State *L)
{
    char text[256];

    snprintf(text, sizeof text, "ran over its time limit of %lld ms (%s)",
             (long long)state_of(L)->limit_ms, state_of(L)->limit_from);
    note_end(L, ERR_LIMIT, text);
}

static _Noreturn void raise_end(lua_State *L)
{
    lua_pushstring(L, state_of(L)->end.text);
    lua_error(L);
    abort(); /* lua_error does not return */
}

static void on_count(lua_State *L, lua_Debug *ar);

/* From now on every instruction of this coroutine, and of the main one, is looked at. */
static void arm(lua_State *L)
{
    lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
    lua_sethook(state_of(L)->L, on_count, LUA_MASKCOUNT, 1);
}

/* Nobody is told where memory ran out: Lua calls no message handler for that and unwinds the
 * call first. So while it may run out, the place is kept from one look to the next. */
static void note_place(lua_State *L)
{
    struct state *st = state_of(L);
    lua_Debug ar;

    st->short_of[0] = '\0';
    if (st->used > st->max / 2 && state_find_place(L, 0, &ar))
        snprintf(st->short_of, sizeof st->short_of, "%s:%d: ", ar.short_src, ar.currentline);
}

static void on_count(lua_State *L, lua_Debug *ar)
{
    struct state *st = state_of(L);
    lua_Debug deep;

    (void)ar;
    st->hook_raised = false;
    note_place(L);
    if (st->end.code == OK && is_late(st))
        note_time(L);
    if (st->end.code == OK) {
        if (lua_gethookcount(L) != STATE_HOOK_EVERY) /* armed, and the call was not ended */
            lua_sethook(L, on_count, LUA_MASKCOUNT, STATE_HOOK_EVERY);
        if (!lua_getstack(L, STATE_DEPTH_MAX, &deep))
            return;
    }
    arm(L);
    st->hook_raised = true;
    if (st->end.code != OK)
        raise_end(L);
    luaL_where(L, 0);
    lua_pushfstring(L,
                    "stack overflow: over %d calls deep, a fixed limit: does a function call "
                    "itself for ever?",
                    STATE_DEPTH_MAX);
    lua_concat(L, 2);
    lua_error(L);
}

static int on_panic(lua_State *L)
{
    (void)L;
    err_bug("a Lua error outside of protect", __FILE__, __LINE__);
}

int state_new(struct state **out, const struct script_settings *settings, void *owner,
              struct err *err)
{
    struct state *st = calloc(1, sizeof *st);

    if (st == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    st->max = settings->memory_max;
    st->memory = settings->memory;
    st->memory_arg = settings->memory_arg;
    st->host = settings->host;
    st->owner = owner;
    st->deadline_ms = INT64_MAX;
    st->L = lua_newstate(allocate, st);
    if (st->L == NULL) {
        free(st);
        return err_set(err, ERR_NOMEM, "no memory for a Lua state (the limit is %zu bytes)",
                       settings->memory_max);
    }
    *(struct state **)lua_getextraspace(st->L) = st;
    lua_atpanic(st->L, on_panic);
    lua_sethook(st->L, on_count, LUA_MASKCOUNT, STATE_HOOK_EVERY);
    *out = st;
    return OK;
}

void state_free(struct state **st)
{
    if (*st == NULL)
        return;
    lua_close((*st)->L);
    free(*st);
    *st = NULL;
}

struct state *state_of(lua_State *L)
{
    return *(struct state **)lua_getextraspace(L);
}

void state_start(struct state *st, int64_t (*clock_ms)(void *arg), int64_t limit_ms,
                 const char *from)
{
    int64_t now = clock_ms(st->host->arg);

    st->end.code = OK;
    st->hook_raised = false;
    st->refused = 0;
    st->short_of[0] = '\0';
    st->clock_ms = clock_ms;
    st->limit_from = from;
    st->limit_ms = limit_ms;
    st->deadline_ms = limit_ms > INT64_MAX - now ? INT64_MAX : now + limit_ms;
}

void state_stop(struct state *st)
{
    if (lua_gethookcount(st->L) != STATE_HOOK_EVERY)
        lua_sethook(st->L, on_count, LUA_MASKCOUNT, STATE_HOOK_EVERY);
    st->end.code = OK;
    st->deadline_ms = INT64_MAX;
}

void state_check(lua_State *L)
{
    struct state *st = state_of(L);

    if (st->end.code == OK && !is_late(st))
        return;
    note_time(L);
    arm(L);
    raise_end(L);
}

_Noreturn void state_end(lua_State *L, const struct err *why)
{
    note_end(L, why->code, why->text);
    arm(L);
    raise_end(L);
}

bool state_handles_errors(struct state *st)
{
    bool hook_raised = st->hook_raised;

    st->hook_raised = false;
    return !hook_raised && st->end.code == OK;
}

/* What died of the hook is still armed; so is what died of state_end, which is over. */
bool state_may_close(lua_State *co)
{
    int status = lua_status(co);

    return status == LUA_OK || status == LUA_YIELD || lua_gethookcount(co) != 1;
}
