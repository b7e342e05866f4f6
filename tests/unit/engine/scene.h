/*
 * scene - a turn with a real store and real rules, and a broker that does as told
 *
 * Rules and migrations are texts; the clock stands still until it is moved; the broker
 * hands out what scene_deliver and scene_answer gave it and notes what it is told.
 */
#ifndef HERALD_TESTS_SCENE_H
#define HERALD_TESTS_SCENE_H

#include "broker/broker.h"
#include "engine/turn.h"
#include "script/script.h"
#include "store/sqlite/db.h"

#include <stdbool.h>
#include <stdint.h>

enum { SCENE_MAX = 64 };

struct scene_delivery {
    struct delivery delivery;
    char id[64], body[512], type[64];
    bool accepted; /* in the running turn */
    bool acked;    /* told */
};

struct scene {
    struct broker broker; /* first: the ops get this scene */
    char folder[64];      /* temporary; removed at the end */
    struct log *log;
    int log_fd;               /* of the file "log" in the folder */
    const char *vfs;          /* of the store's settings, from the next start on */
    script_memory_fn *memory; /* of the script's settings; the same */
    struct settings settings; /* of the turn, as usual (usual.h), for a test to change */
    struct strike *strike;    /* the same; scene_remember_deaths opens it */
    int64_t now_ms;           /* both clocks */
    int64_t tick_ms;          /* how far looking at a clock moves both */
    int64_t wall_ahead_ms;    /* by so much the wall clock has jumped */
    int64_t now_takes_ms;     /* how long a handler's herald.now() lasts */
    int64_t age_ms;           /* of the turn's settings, from the next start on; 0: 1000 */
    struct db *db;
    struct script *script;
    struct turn *turn;

    struct scene_delivery deliveries[SCENE_MAX];
    size_t n_deliveries;
    struct settlement answers[SCENE_MAX];
    size_t n_answers, n_lent;
    char pending[1024];   /* publishes of the running turn: "ID>exchange " */
    char published[4096]; /* told */
    char ids[4096];       /* message ids of all publishes that were asked for: "id " */
    char headers[4096];   /* headers of the same, "-" where there are none: "{} - " */
    char times[1024];     /* timestamps of the same: "ROW@seconds " */
    int publish_code;     /* what publish answers */
    char full[64];        /* the exchange or queue that takes no row now; "": all do */
    size_t room;
    enum broker_pace pace; /* what was told last */
    bool repaced;          /* there may be something to take */
    char paces[1024];      /* all that was told: "queue:stop queue:one queue:flow " */
    int forgotten;         /* turns that were rolled back */
};

/* A folder, a clock and a log; and all of it gone, whatever came of it. */
void scene_setup(struct scene *s);
void scene_teardown(struct scene *s);

/* With the store and the first turn, on these rules. */
void scene_begin(struct scene *s, const char *rules, const char *migration);

/* Another generation of the rules; owned by the caller until scene_swap takes it up. */
struct script *scene_load(struct scene *s, const char *rules);
void scene_swap(struct scene *s, struct script *next, int64_t generation);

/* From now on there is a strike file. A death in the handler of a delivery is played: the
 * process ends there and is started again. */
void scene_remember_deaths(struct scene *s);
void scene_die_in(struct scene *s, const char *id);

/* As after a crash or an end: the store is the same, the turn and the broker are new. */
void scene_restart(struct scene *s);
/* Its halves. */
void scene_stop(struct scene *s);
void scene_start(struct scene *s);

/* All log lines from info on. Valid until the next call. */
const char *scene_log(struct scene *s);

/* The next delivery of the first subscription; NULL id: none, NULL type: none. */
void scene_deliver(struct scene *s, const char *id, const char *type, const char *body);
/* The same, of a subscription. */
void scene_deliver_to(struct scene *s, const char *queue, const char *id, const char *type);
void scene_answer(struct scene *s, int64_t row, enum publish_outcome outcome, const char *why);

/* Turns until nothing is left to do. Fails the test when a turn is paused. */
void scene_run(struct scene *s);

/* One turn. */
enum turn_result scene_turn(struct scene *s, struct err *err);

size_t scene_acked(const struct scene *s);

/* The first column of the first row as text, from another connection; "" for null or
 * no row. Valid until the next call. */
const char *scene_sql(struct scene *s, const char *sql);

/* Compares what scene_sql answers, whole or in part. */
void assert_sql(struct scene *s, const char *sql, const char *want);
void assert_sql_contains(struct scene *s, const char *sql, const char *want);

/* Another process's write transaction, open until scene_unlock. */
struct sqlite3 *scene_lock(struct scene *s);
void scene_unlock(struct sqlite3 *db);

#endif
