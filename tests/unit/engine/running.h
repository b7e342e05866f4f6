/*
 * running - a whole engine on its loop: real store, embedded broker, real files and clock
 *
 * The folder is temporary. Nothing runs but inside running_until.
 */
#ifndef HERALD_TESTS_RUNNING_H
#define HERALD_TESTS_RUNNING_H

#include "engine/engine.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct running {
    char folder[64];
    char store[128];
    struct script_folder lent; /* to the engine */
    uv_loop_t loop;
    struct log *log;
    int log_fd;
    struct engine *engine;
    struct settings settings;     /* of the start, for a test to change before a reload */
    struct engine_reload request; /* with these settings */
    int edited;                   /* times that the engine told of changed files */
    bool follows;                 /* it reloads with `request` then */
    int64_t passed_ms;            /* by so much more time has passed, for a test to change */
    int64_t ahead_ms;             /* of the wall clock, for a test to change */
    bool closed;
};

/* Makes the folder with a migration (table t(id, mark)) and these rules, and starts. */
void running_begin(struct running *r, const char *rules);

/* Stops in good order, if it was begun; fails the test for a handle that is left. */
void running_teardown(struct running *r);

/* Its first half, and a start on the same folder. */
void running_stop(struct running *r);
void running_start(struct running *r);

void running_write(struct running *r, const char *name, const char *text);
void running_remove(struct running *r, const char *name);

/* Runs the loop until the query answers `wanted`, at most some seconds. */
void running_until(struct running *r, const char *sql, const char *wanted);

/* Runs the loop for so long. */
void running_for(struct running *r, uint64_t ms);

/* The first column of the first row as text; "" for none. Valid until the next call. */
const char *running_sql(struct running *r, const char *sql);

/* Reloads with `request`. The answer, or the error's text; valid until the next call. */
const char *running_reload(struct running *r, int wanted_code);

/* All log lines so far. Valid until the next call. */
const char *running_log(struct running *r);

/* A part of an answer, or of the log. */
void assert_has(const char *text, const char *part);
void assert_no(const char *text, const char *part);

/* Lines of an answer of engine_reload; of the first one, its beginning. */
#define OUTCOME(word, generation) "{\"outcome\":\"" word "\",\"generation\":" #generation ","
#define CHANGED(change, what, name, where)                                                         \
    "{\"changed\":{\"change\":\"" change "\",\"what\":\"" what "\",\"name\":\"" name               \
    "\",\"where\":\"" where "\"}}\n"

#endif
