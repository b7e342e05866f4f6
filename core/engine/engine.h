/*
 * engine - one thread, one loop, one store, one generation of rules, one broker
 *
 *             engine_start              engine_stop                 broker stopped
 *   BUILT -----------------> RUNNING ----------------> DRAINING --> CLOSING ---> CLOSED
 *                            ^     |                in flight 0, or time-out
 *              retry timer   |     | the machine's or the store's trouble
 *                            '-- OUTAGE
 *
 * RUNNING: turns run whenever something woke the engine. OUTAGE: no turn runs until a
 * timer tries again; nothing is acked, nothing is published, the reason is visible. Where it
 * lasts, consuming is stopped, too, so that no deliveries lie unacked (outage.h).
 * DRAINING: what was taken is finished, confirms are waited for, nothing new begins.
 * CLOSING: the broker's links are being closed; no turn runs any more.
 *
 * A commit whose outcome is unknown ends the process at once (docs/design.md#commits).
 */
#ifndef HERALD_ENGINE_ENGINE_H
#define HERALD_ENGINE_ENGINE_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/settings.h"
#include "base/span_export.h"
#include "broker/broker.h"
#include "engine/counters.h"
#include "script/script.h"
#include "store/waiting.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct engine;
struct pause;

/* Where an engine runs, and who is told. */
struct engine_host {
    uv_loop_t *loop; /* lent */
    struct log *log; /* lent */
    struct clock clock;
    const struct script_folder *folders; /* their migrations belong to the router, too */
    size_t n_folders;
    bool until_idle;           /* stop when nothing is left to do */
    void (*ready)(void *arg);  /* the broker is up for the first time; may be NULL */
    void (*closed)(void *arg); /* nothing of the engine is left on the loop; may be NULL */
    void (*edited)(void *arg); /* files of the rules changed: reload; NULL: nobody watches */
    void *arg;
    const struct notify *notify; /* the service manager; lent; may be NULL */
    struct span_export *spans;   /* where spans go; lent; NULL: they are off */
};

/* Whether the rules in force have a route for such rows. */
bool engine_has_route(const struct engine *e, const char *type, const char *order_type);

/* Opens the store, applies migrations, loads the rules, makes the broker. Nothing
 * runs yet. Folders and texts are lent for the engine's life. ERR_CONFIG is the user's to mend; see
 * db_open and script_load for the others. */
int engine_new(struct engine **e, const struct engine_host *host, const struct settings *settings,
               struct err *err);

int engine_start(struct engine *e, struct err *err);

/* Stops in an orderly way; `closed` comes from the loop. Further calls change nothing. */
void engine_stop(struct engine *e);

/* Before engine_start or after `closed`. */
void engine_free(struct engine **e);

/* The n-th subscription that is paused, because every message fails alike (streak.h); NULL:
 * there is none. Lent until the loop runs again. */
const struct pause *engine_paused(const struct engine *e, size_t n);

/* Those in force. */
const struct settings *engine_settings(const struct engine *e);

/* What an operator has paused is not as it was (store/halt.h): the next turn reads it. */
void engine_look_at_halts(struct engine *e);

/* The n-th thing that the broker refuses or does not answer (broker.h); false: no more. */
bool engine_trouble(const struct engine *e, size_t n, struct broker_trouble *out);

struct engine_status {
    const char *state;         /* "running", "paused", "draining", "closed" */
    const char *outage_why;    /* "" or why no turn runs */
    const char *stopped_for;   /* "" or why nothing is consumed: trouble that lasts (outage.h) */
    const char *store_trouble; /* "" or what of the store needs somebody (db_trouble) */
    struct broker_state broker;
    const struct counters *counters;
    int64_t cursor; /* outbox rows at or below that are due at once are in flight */
    int64_t generation;
    const char *rules_hash;
    const char *rules_error; /* why the last reload was refused; "" */
    const char *rules_wait;  /* why what lies on the disk is not in force yet; "" (standstill.h) */
    int64_t reloads;         /* that took effect */
    int64_t reloads_refused; /* that changed nothing */
    size_t routes, subscriptions, handlers;
    size_t script_memory; /* bytes */
    int64_t spans_sent, spans_dropped;
};

void engine_status(struct engine *e, struct engine_status *out);

/* Whether a subscription of the rules in force names this queue. */
bool engine_subscribes(const struct engine *e, struct slice queue);

/* What lies in the store, and why. */
struct engine_backlog {
    struct waiting_outbox outbox;
    int64_t pending; /* rows of the outbox */
    int64_t retries;
    int64_t dead;
    int64_t wal_bytes;
};

/* Reads the store, between two turns: some milliseconds where much waits. Calls back for the
 * retries of each queue. */
int engine_look(struct engine *e, struct engine_backlog *out, waiting_queue_fn *fn, void *arg,
                struct err *err);

/* A reload: the rules as they lie on the disk become the next generation, or nothing
 * changes (docs/design.md#reload). */
struct engine_reload {
    bool dry_run;   /* judge and say, change nothing */
    bool automatic; /* nobody asked: files that lack something are waited for (standstill.h) */
    bool again;     /* nobody waits for an answer: what fails for a while is tried again */
    size_t trial;   /* last messages to run on both generations first (trial.h); 0: none */
    const struct settings *settings; /* the live ones are in force with the new generation */
};

/* From the loop, between two turns. Reads, runs, checks against the store's schema, swaps.
 * Writes what changes into `answer`, lines of JSON (engine_reload.c says which). ERR_CONFIG: file
 * and line and why, the old generation works on. */
int engine_reload(struct engine *e, const struct engine_reload *r, struct buf *answer,
                  struct err *err);

/* Appends a line of JSON for each route of the generation in force that leads to no queue, as far
 * as the broker has told: {"nowhere":{"type":...,"order_type":...,"to":...,"where":...,
 * "what_now":...}}. Behind the first ones {"nowhere_more":N} counts the others. False: it has not
 * answered about all of them yet. */
bool engine_unreached(const struct engine *e, struct buf *lines);

/* Certificates and keys that have changed are taken: connections are made anew. What is of no use
 * is logged, and nothing changes. */
int engine_renew(struct engine *e, struct err *err);

/* A reload was refused before it came to the rules: keeps and logs why. */
void engine_refuse(struct engine *e, const struct err *why);

#endif
