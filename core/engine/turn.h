/*
 * turn - one round of the engine: take what is ready, one transaction, then tell
 *
 *   begin     one store transaction; rows of the store are read only now
 *   handle    due retries and deliveries, each in a savepoint (turn_messages.c, turn_handle.c)
 *   route     fresh and due outbox rows to their exchanges (turn_publish.c)
 *   settle    what the broker said about published rows (turn_settle.c)
 *   commit    one fsync for all of it
 *   tell      ack the deliveries, send the publishes: all of it durable by now
 *
 * Whatever ends a turn early undoes all of it, the broker is told nothing, and the
 * next turn sees the same again (docs/design.md#the-turn has the proof). A turn knows no loop: the
 * engine calls it and looks at its result.
 */
#ifndef HERALD_ENGINE_TURN_H
#define HERALD_ENGINE_TURN_H

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/settings.h"
#include "broker/broker.h"
#include "engine/counters.h"
#include "engine/strike.h"
#include "engine/watchdog.h"
#include "script/script.h"
#include "store/sqlite/db.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct turn;
struct past_rules;
struct turn_spans;
struct pause;

/* What a turn works with. */
struct turn_parts {
    struct db *db; /* lent, like all below */
    struct broker *broker;
    struct log *log;
    struct clock clock;
    size_t messages_max; /* messages handled in one turn at most */
    int64_t age_ms;      /* of a turn, divided among those that have work (share.h) */
    int64_t
        age_shared_ms; /* the same while a foreign process commits again and again (foreign.h) */
    uint64_t seed;     /* of the jitter */
    bool pausing;      /* subscriptions pause when every message fails alike (streak.h) */
    struct strike *strike;     /* who was in its handler when the process died; NULL: no file */
    struct watchdog *watchdog; /* NULL: nobody looks */
    struct turn_spans *spans;  /* NULL: they are off */
};

enum turn_result {
    TURN_IDLE,   /* nothing is left to do now */
    TURN_MORE,   /* call again soon */
    TURN_BUSY,   /* another process holds the write lock: call again in a moment */
    TURN_OUTAGE, /* the machine's or the store's trouble, see err: call again later */
    TURN_FATAL,  /* the outcome of a commit is unknown: the process must end */
};

/* The scripts' host belongs to the turn: load the script with it, then lend the
 * script (a turn may rebuild it in place). The settings are lent, too; those that are live may
 * change between two turns, when the script does. */
int turn_new(struct turn **t, const struct turn_parts *parts, const struct settings *settings,
             struct err *err);
void turn_free(struct turn **t);
const struct script_host *turn_host(struct turn *t);
void turn_use_script(struct turn *t, struct script **script, int64_t generation);

/* A queue is subscribed to that was not before: in the next turn, its retries are due. */
void turn_adopt(struct turn *t);

/* What sets of rules from before had (past_rules.h): lent for good. */
void turn_use_past(struct turn *t, const struct past_rules *past);

/* The set that was taken (store/rules_taken.h) is written down in the next turn; lent until the
 * next call. */
void turn_remember(struct turn *t, struct slice taken);

/* Whether a handler could run this statement on the store as it is, between two turns.
 * ERR_SCRIPT: no, with SQLite's words. */
int turn_check_sql(struct turn *t, struct slice sql, struct err *err);

/* Runs one turn. `publish` false: take no outbox rows (the engine is stopping). */
enum turn_result turn_run(struct turn *t, bool publish, struct err *err);

/* The next turn must prove that the store can be written: it is committed only if the store takes
 * much more than a turn without messages would write. */
void turn_prove(struct turn *t);

/* What happened to the router itself, as a message:
 *
 *   a rule routes the type   a row of the outbox, like any other
 *   a handler names it       a retry of the queue EVENTS_QUEUE, due at once: it is handled here,
 *                            without a broker in between
 *   neither                  nothing is written
 *
 * The next turn writes it, with a mark that says so in the same transaction, so that a restart does
 * not tell it again. */
#define EVENTS_QUEUE "herald.events"
enum { RAISED_MAX = 16 };

struct raised {
    char type[64];    /* "": nothing is told, the mark alone is set */
    char about[256];  /* its business key 1; "": none */
    char body[2048];  /* JSON */
    const char *mark; /* lent for life; NULL: none */
    int64_t value;    /* of the mark */
};

/* Whether a rule names this type. */
bool turn_names(const struct turn *t, const char *type);

/* Between two turns. False: too much waits already. */
bool turn_raise(struct turn *t, const struct raised *what);

/* What a mark was set to last; 0: never. */
int turn_mark(struct turn *t, const char *mark, int64_t *value_out, struct err *err);

/* For so many ms after the last turn the store is left free for other processes (foreign.h). */
int64_t turn_gap_ms(const struct turn *t);

/* When the next retry, probe, or postponed row that there is room for, is due, ms since 1970 UTC;
 * INT64_MAX: none. */
int turn_next_due(struct turn *t, int64_t *due_at_out, struct err *err);

/* The n-th queue that is paused (streak.h), lent until the next turn; NULL: there is none. */
const struct pause *turn_paused(const struct turn *t, size_t n);

/* Between two turns: all paused queues are probed at once. */
void turn_probe(struct turn *t);

/* Between two turns: what an operator has paused is read again (store/halt.h). */
void turn_look_at_halts(struct turn *t);

/* Whether all publishing is paused by an operator. */
bool turn_is_halted(const struct turn *t);

const struct counters *turn_counters(const struct turn *t);

/* Rows wait until their outlet has room (store/outbox_backlog.h). */
bool turn_has_backlog(const struct turn *t);

/* Outbox rows at or below that are due at once are in flight. */
int64_t turn_cursor(const struct turn *t);

#endif
