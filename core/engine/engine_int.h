/*
 * engine_int - struct engine, for build.c and engine.c
 */
#ifndef HERALD_ENGINE_ENGINE_INT_H
#define HERALD_ENGINE_ENGINE_INT_H

#include "engine/engine.h"
#include "engine/turn.h"
#include "store/watch.h"

enum engine_state {
    ENGINE_BUILT,
    ENGINE_RUNNING,
    ENGINE_PAUSED,
    ENGINE_DRAINING,
    ENGINE_CLOSING, /* the broker is being stopped: no turn runs any more */
    ENGINE_CLOSED,
};

struct engine {
    struct engine_settings settings;
    enum engine_state state;
    struct db *db;
    struct script *script;
    int64_t generation;
    struct broker *broker;
    struct turn *turn;
    struct watch *watch;

    uv_check_t check;       /* runs a turn after the reads of an iteration */
    uv_idle_t spin;         /* active while a turn is wanted, so that poll does not block */
    uv_timer_t due;         /* wakes for retries, postponed rows, pauses */
    uv_timer_t house;       /* checkpoints, idleness, drain */
    int open_handles;       /* of the four above */
    bool woken;             /* a turn is wanted */
    bool was_ready;         /* `ready` has been told */
    int64_t active_ms;      /* monotonic: when a turn last did something */
    int64_t busy_ms;        /* wait after a busy store; grows up to a bound */
    int64_t pause_ms;       /* the same after trouble */
    int64_t drain_until_ms; /* monotonic */
    char paused_for[1024];  /* why, "" when not */
};

/* A broker_wake_fn and watch_fn: wants a turn in this iteration of the loop. */
void engine_wake(void *arg);

#endif
