/* state - a Lua state that has herald.core as `core`, in a folder of its own */
#ifndef HERALD_TESTS_STATE_H
#define HERALD_TESTS_STATE_H

#include "check.h"
#include "face/cli.h"

struct state {
    lua_State *L;
    char folder[64]; /* the current one until the end */
    int home;        /* the one before */
    size_t bytes;    /* that the state has */
    size_t most;     /* that it may have; 0: any */
};

void state_setup(struct state *s);
void state_teardown(struct state *s);

/* Runs Lua: what it returns, as "a, b", or the words of its error. Lent until the next call. */
const char *state_run(struct state *s, const char *lua);

#define assert_gives(s, lua, expected) assert_string_equal(state_run(s, lua), expected)

/* A file in the folder, with the folders above it. */
void state_write(const char *name, const char *text);

#endif
