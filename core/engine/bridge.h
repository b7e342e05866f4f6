/*
 * bridge - gives scripts their transaction: script/host.h on top of the store
 *
 * The two floors do not know each other; this is where they meet.
 */
#ifndef HERALD_ENGINE_BRIDGE_H
#define HERALD_ENGINE_BRIDGE_H

#include "base/clock.h"
#include "base/log.h"
#include "engine/counters.h"
#include "script/host.h"
#include "store/db.h"
#include "store/sql.h"

struct bridge {
    struct script_host host; /* what a script is given; host.arg is this bridge */
    struct db *db;           /* lent */
    struct sql *sql;         /* owned */
    struct log *log;         /* lent */
    struct clock clock;
    struct counters *counters; /* of the running turn; lent */
    struct slice message_id;   /* of the message being handled, for its log lines */
};

/* Fills *b, which must stay where it is while scripts use its host. */
int bridge_open(struct bridge *b, struct db *db, struct log *log, struct clock clock,
                struct counters *counters, struct err *err);
void bridge_close(struct bridge *b);

#endif
