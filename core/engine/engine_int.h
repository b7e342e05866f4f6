/*
 * engine_int - struct engine, for engine_build.c and engine.c
 */
#ifndef HERALD_ENGINE_ENGINE_INT_H
#define HERALD_ENGINE_ENGINE_INT_H

#include "engine/engine.h"
#include "engine/outage.h"
#include "engine/rules_watch.h"
#include "engine/turn.h"
#include "engine/turn_spans.h"
#include "store/sqlite/commit_notice.h"

enum engine_state {
    ENGINE_BUILT,
    ENGINE_RUNNING,
    ENGINE_OUTAGE,
    ENGINE_DRAINING,
    ENGINE_CLOSING, /* the broker is being stopped: no turn runs any more */
    ENGINE_CLOSED,
};

/* Of the router's own events: what was told last (engine_events.c). */
enum { EVENT_PAUSES_MAX = 64 };

struct events {
    bool begun;         /* the marks were read */
    bool broker_lost;   /* as it was told last */
    int64_t lost_at;    /* wall clock: when that began */
    int64_t changed_ms; /* monotonic: since when it is otherwise; below 0: it is not */
    bool many_dead;     /* as it was told last */
    bool disk_low;      /* the same */
    int64_t looked_ms;  /* monotonic: the store and the disk */
    uint64_t refused;   /* hash of why rules are refused, as it was told; 0: they are not */
    int64_t refused_ms; /* monotonic */
    struct {
        uint64_t queue;  /* hash of its name */
        int64_t since;   /* of the pause that was told */
        int64_t told_ms; /* monotonic */
    } paused[EVENT_PAUSES_MAX];
    unsigned next_pause; /* the place that is used next */
};

struct engine {
    struct engine_host host;
    struct settings settings; /* in force */
    enum engine_state state;
    struct db *db;
    struct script *script;
    int64_t generation;
    char rules_error[1024];          /* why the last reload was refused, "" when it was not */
    struct standstill *still;        /* what lies on the disk, against what was taken */
    int64_t reloads;                 /* that took effect */
    int64_t reloads_refused;         /* that changed nothing */
    size_t n_migrations;             /* files in migrations/ when they were applied */
    bool in_turn;                    /* nobody may change the rules */
    struct rules_watch *rules_watch; /* NULL: nobody wants to know */
    struct broker *broker;
    struct turn *turn;
    struct turn_spans *spans;  /* NULL: they are off */
    struct strike *strike;     /* NULL: its file cannot be used */
    struct watchdog *watchdog; /* NULL: the settings want none */
    struct commit_notice *commits;

    struct buf unreached; /* lines about routes that lead nowhere (engine_reach.c) */
    size_t reach_at;      /* the first route that the broker has not told of */
    size_t n_unreached;   /* destinations before it that lead nowhere */

    uv_check_t check;       /* runs a turn after the reads of an iteration */
    uv_idle_t spin;         /* active while a turn is wanted, so that poll does not block */
    uv_timer_t due;         /* wakes for retries, postponed rows, pauses */
    uv_timer_t house;       /* checkpoints, idleness, drain */
    int open_handles;       /* of the four above */
    bool woken;             /* a turn is wanted */
    int64_t free_until_ms;  /* monotonic: no turn before, the store is left to foreign processes */
    bool was_ready;         /* `ready` has been told */
    int64_t due_at;         /* wall clock: what the engine sleeps for; INT64_MAX: nothing */
    int64_t active_ms;      /* monotonic: when a turn last did something */
    int64_t busy_ms;        /* wait after a busy store; grows up to a bound */
    int64_t outage_ms;      /* the same after trouble */
    int64_t drain_until_ms; /* monotonic */
    char outage_why[1024];  /* why no turn runs, "" when they do */
    struct events events;   /* what happened, as it was told */
    struct outage outage;   /* for how long nothing could be processed */
    char stopped_for[1024]; /* why nothing is consumed, "" when something is */
};

/* A broker_wake_fn and commit_notice_fn: wants a turn in this iteration of the loop. */
void engine_wake(void *arg);

/* engine_reach.c: a generation was taken up, and is asked about; what the broker has answered
 * since is told. */
void reach_init(struct engine *e);
void reach_begin(struct engine *e);
void reach_look(struct engine *e);

/* engine_events.c: looks, every now and then, for what happened to the router itself. */
void events_init(struct events *v);
void events_look(struct engine *e);

/* engine_reload.c: loads the rules aside with these settings, and checks the SQL that stands in
 * them against the store. */
int engine_load(struct engine *e, const struct settings *settings, struct script **out,
                struct err *err);
size_t engine_count_migrations(const struct engine *e);
int engine_check_sql(struct engine *e, const struct script *s, struct err *err);

#endif
