/*
 * state - a Lua state with a memory ceiling and a time limit it cannot argue with
 *
 * The heap is counted by the allocator: growing past the ceiling fails, shrinking never
 * does. The count hook is set when the state is made and stays: every STATE_HOOK_EVERY
 * instructions it looks at the clock. A call is ended when its time is up or when the
 * host failed under it (state_end): from then on the hook raises at every instruction,
 * in whatever coroutine it finds itself, so that pcall, coroutines and __close can only
 * hand the error on. The hook also stops runaway recursion, with an ordinary error, long
 * before the stack has eaten the heap.
 *
 * Lua turns hooks off while one runs, and what a hook raises leaves them off for a
 * message handler (xpcall), and in a coroutine that dies of it for its pending __close.
 * bounded.c keeps scripts' code out of both (state_handles_errors, state_may_close).
 *
 *               state_start               state_end, or the hook
 *        IDLE -------------> RUNNING ----------------------------> ENDED
 *          ^                    |                                    |
 *          `---- state_stop ----+------------- state_stop -----------'
 *
 * One state belongs to one thread.
 */
#ifndef HERALD_SCRIPT_STATE_H
#define HERALD_SCRIPT_STATE_H

#include "base/err.h"
#include "script/script_types.h"

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STATE_HOOK_EVERY = 1000, STATE_DEPTH_MAX = 16000 };

struct state {
    lua_State *L;                   /* owned */
    size_t used;                    /* bytes of the heap */
    size_t max;                     /* ceiling of `used` */
    size_t refused;                 /* the last request that did not fit; 0: none */
    script_memory_fn *memory;       /* where the bytes come from; NULL: the C library */
    void *memory_arg;               /* for `memory` */
    const struct script_host *host; /* lent: the clock, and what bindings ask for */
    int64_t (*clock_ms)(void *arg); /* the host's clock that the deadline is of */
    int64_t deadline_ms;            /* INT64_MAX while idle */
    int64_t limit_ms;               /* what the deadline was made of, for words */
    const char *limit_from;         /* whose limit that is, for words; lent for the call */
    char short_of[96];              /* "rules/x.lua:3: ", the last place seen while over half of
                                       the heap is in use; "": none */
    bool hook_raised;               /* the last error came from the hook */
    struct err end;                 /* why the running call is ended; OK: it is not */
    struct script_outcome *out;     /* where protect.c writes about an error; lent */
    void *owner;                    /* the script this state is part of */
};

/* Limits and host are taken from the settings; `owner` is lent for life. ERR_NOMEM: it
 * does not fit. */
int state_new(struct state **out, const struct script_settings *settings, void *owner,
              struct err *err);

/* Closes it and clears *st; NULL is fine. Statements must have been given back. */
void state_free(struct state **st);

/* The state of any of its coroutines. */
struct state *state_of(lua_State *L);

/* Finds the nearest code of a rule's author from `level` on, past C and our own Lua; fills
 * in source, short_src and currentline. Allocates nothing and never raises. */
bool state_find_place(lua_State *L, int level, lua_Debug *ar);

/* The same for one frame that is at hand. */
bool state_is_place(lua_State *L, lua_Debug *ar);

/* Begins and ends a call with a limit of time on a clock of the host's. `from` says which limit
 * it is and how to raise it, for words; lent for the call. */
void state_start(struct state *st, int64_t (*clock_ms)(void *arg), int64_t limit_ms,
                 const char *from);
void state_stop(struct state *st);

/* RAISES when the call is ended or out of time; every door to the host starts here. */
void state_check(lua_State *L);

/* False while a message handler of a script would run without a hook. */
bool state_handles_errors(struct state *st);

/* False for a dead coroutine whose __close would run without a hook. */
bool state_may_close(lua_State *co);

/* RAISES always: ends the call for a reason that no pcall can outlive. */
_Noreturn void state_end(lua_State *L, const struct err *why);

#endif
