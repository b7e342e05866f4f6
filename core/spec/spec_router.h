/*
 * spec_router - a router without a loop, a broker and a wall clock, for specs
 *
 * The turn is the real one, on a store in a temporary file, the embedded broker behind a
 * staged one, and a wall clock that stands still until it is moved. SQL's datetime('now')
 * follows it. Limits of time are measured with the machine's clock all the same.
 */
#ifndef HERALD_SPEC_SPEC_ROUTER_H
#define HERALD_SPEC_SPEC_ROUTER_H

#include "base/settings.h"
#include "engine/counters.h"
#include "script/script.h"
#include "spec/spec_broker.h"
#include "spec/spec_sql.h"

struct rehearsal;

struct rehearsal_settings {
    const struct script_folder *folders; /* lent for life, as their strings are */
    size_t n_folders;
    const struct slice *rules; /* texts of more rule files: spec/rules/extra1.lua ... */
    size_t n_rules;
    struct settings router; /* of handlers, retries and the inbox; the others do not count */
    int64_t now_ms;         /* where the clock begins, ms since 1970 UTC */
    bool loopback;          /* what is published reaches the router's own queues */
};

/* Opens the store, applies migrations, loads the rules. ERR_CONFIG: the user's to mend. */
int rehearsal_new(struct rehearsal **out, const struct rehearsal_settings *settings,
                  struct err *err);
void rehearsal_free(struct rehearsal **r); /* removes the store; NULL is fine */

/* Runs turns until nothing is left to do. ERR_ codes of what stopped it otherwise. */
int rehearsal_run(struct rehearsal *r, struct err *err);

/* Runs, then moves the clock on and runs at each moment at which something is due. */
int rehearsal_advance(struct rehearsal *r, int64_t ms, struct err *err);

/* A death of the process in the next turn that handles a delivery, and a new start on the
 * same store: before the commit, or after it and before the acks. */
void rehearsal_crash(struct rehearsal *r, bool before_commit);

/* The deliveries of the next turn that has some come a second time. */
void rehearsal_duplicate(struct rehearsal *r);

/* Publishes as another service would: to an exchange, or (kind EXCHANGE_DEFAULT) to the
 * queue of that routing key. ERR_NOT_FOUND: no queue took it. */
int rehearsal_deliver(struct rehearsal *r, const struct destination *to, const struct message *m,
                      struct err *err);

/* Adds an outbox row, as the business would. */
int rehearsal_emit(struct rehearsal *r, const struct message *m, int64_t *id_out, struct err *err);

/* Another program's connection to the store, for SQL between turns; lent until a crash. */
int rehearsal_guest(struct rehearsal *r, struct guest **out, struct err *err);

struct broker *rehearsal_broker(struct rehearsal *r); /* a staged one */
const struct rules *rehearsal_rules(struct rehearsal *r);
const struct counters *rehearsal_counters(struct rehearsal *r);
int64_t rehearsal_now_ms(const struct rehearsal *r);

/* All log lines so far, as JSON, appended. */
int rehearsal_log(struct rehearsal *r, struct buf *out, struct err *err);

#endif
