/* state - see state.h. */
#include "script/state.h"

#include <lauxlib.h>
#include <stdlib.h>

static void *resize(const struct state *st, void *p, size_t size)
{
    if (st->memory != NULL)
        return st->memory(st->memory_arg, p, size);
    if (size > 0)
        return realloc(p, size);
    free(p);
    return NULL;
}

/* For a new block `old` is a type tag and not a size. Lua relies on shrinking, so a
 * block that cannot be moved to a smaller place keeps the one it has. */
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

static int64_t mono_ms(const struct state *st)
{
    return st->host->mono_ms(st->host->arg);
}

static void set_time_is_up(struct state *st)
{
    err_set(&st->end, ERR_LIMIT, "ran over its time limit of %lld ms", (long long)st->limit_ms);
}

/* Raises the reason with the place where the script is now; level 0 inside the hook,
 * 1 inside a C function. */
static _Noreturn void raise_end(lua_State *L, int level)
{
    struct state *st = state_of(L);

    luaL_where(L, level);
    lua_pushstring(L, st->end.text);
    lua_concat(L, 2);
    lua_error(L);
    abort(); /* lua_error does not return */
}

static void on_count(lua_State *L, lua_Debug *ar)
{
    struct state *st = state_of(L);

    (void)ar;
    if (st->end.code == OK) {
        if (mono_ms(st) < st->deadline_ms) {
            /* A coroutine that was stopped in an earlier call runs again. */
            if (lua_gethookcount(L) != STATE_HOOK_EVERY)
                lua_sethook(L, on_count, LUA_MASKCOUNT, STATE_HOOK_EVERY);
            return;
        }
        set_time_is_up(st);
    }
    lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
    lua_sethook(st->L, on_count, LUA_MASKCOUNT, 1);
    raise_end(L, 0);
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

void state_start(struct state *st, int64_t limit_ms)
{
    int64_t now = mono_ms(st);

    st->end.code = OK;
    st->refused = 0;
    st->limit_ms = limit_ms;
    st->deadline_ms = limit_ms > INT64_MAX - now ? INT64_MAX : now + limit_ms;
}

void state_stop(struct state *st)
{
    if (st->end.code != OK)
        lua_sethook(st->L, on_count, LUA_MASKCOUNT, STATE_HOOK_EVERY);
    st->end.code = OK;
    st->deadline_ms = INT64_MAX;
}

void state_check(lua_State *L)
{
    struct state *st = state_of(L);

    if (st->end.code == OK && mono_ms(st) < st->deadline_ms)
        return;
    if (st->end.code == OK)
        set_time_is_up(st);
    lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
    lua_sethook(st->L, on_count, LUA_MASKCOUNT, 1);
    raise_end(L, 1);
}

_Noreturn void state_end(lua_State *L, const struct err *why)
{
    struct state *st = state_of(L);

    if (st->end.code == OK)
        st->end = *why;
    lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
    lua_sethook(st->L, on_count, LUA_MASKCOUNT, 1);
    raise_end(L, 1);
}
