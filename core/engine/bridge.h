/*
 * bridge - gives scripts their transaction: script/host.h on top of the store
 *
 * The two floors do not know each other; this is where they meet.
 */
#ifndef HERALD_ENGINE_BRIDGE_H
#define HERALD_ENGINE_BRIDGE_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/trace_context.h"
#include "engine/counters.h"
#include "script/host.h"
#include "store/sql.h"
#include "store/sqlite/db.h"

#include <stdbool.h>
#include <stdint.h>

/* What a call did, as trial.h says; for trials. */
struct transcript {
    struct buf did; /* JSON objects with commas between */
    int64_t now_ms; /* the scripts' clock stands still, so that time makes no difference */
    bool cut;       /* the last deeds are missing: there was no room for them */
};

/* What log lines of a script are about; all absent while none is called for a message. */
struct bridge_about {
    struct slice message_id; /* lent for the call */
    int64_t generation;
    const char *hash;                  /* of the generation; lent for the call */
    const struct trace_context *trace; /* of the message; lent; NULL: none */
    const char *span;                  /* in it, of this call, which emits descend from */
};

struct bridge {
    struct script_host host; /* what a script is given; host.arg is this bridge */
    struct db *db;           /* lent */
    struct sql *sql;         /* owned */
    struct log *log;         /* lent */
    struct clock clock;
    struct counters *counters;     /* of the running turn; lent */
    const int64_t *cursor;         /* of the turn: outbox rows at or below were sent; lent */
    int64_t inherited;             /* so may those, by the process before this one */
    struct transcript *transcript; /* lent; NULL: nobody records */
    struct bridge_about about;
    struct buf headers; /* memory for those of an emit, used again */
};

/* Fills *b, which must stay where it is while scripts use its host. */
int bridge_open(struct bridge *b, struct db *db, struct log *log, struct clock clock,
                struct counters *counters, struct err *err);
void bridge_close(struct bridge *b);

/* Around the words of one thing that a call did. */
void bridge_begin_deed(struct buf *b, const char *what);
void bridge_end_deed(struct buf *b);

/* As json_add_text, but a very long text is cut, with a hash of the whole behind it. */
void bridge_add_text(struct buf *b, const char *name, struct slice text);

#endif
