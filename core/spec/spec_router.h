/*
 * spec_router - a router without a loop, a broker and a wall clock, for specs
 *
 * The turn is the real one, on a store in a temporary file, the embedded broker behind a
 * spec_broker, and a wall clock that stands still until it is moved. SQL's datetime('now')
 * follows it. Limits of time are measured with the machine's clock all the same.
 */
#ifndef HERALD_SPEC_SPEC_ROUTER_H
#define HERALD_SPEC_SPEC_ROUTER_H

#include "base/settings.h"
#include "engine/counters.h"
#include "script/script.h"
#include "spec/spec_broker.h"
#include "spec/spec_sql.h"

struct spec_router;

struct spec_router_settings {
    const struct script_folder *folders; /* lent for life, as their strings are */
    size_t n_folders;
    const struct slice *rules; /* texts of more rule files: spec/rules/extra1.lua ... */
    size_t n_rules;
    struct settings router; /* of handlers, retries and the inbox; the others do not count */
    int64_t now_ms;         /* where the clock begins, ms since 1970 UTC */
    bool loopback;          /* what is published reaches the router's own queues */
};

/* Opens the store, applies migrations, loads the rules. ERR_CONFIG: the user's to mend. */
int spec_router_new(struct spec_router **out, const struct spec_router_settings *settings,
                    struct err *err);
void spec_router_free(struct spec_router **r); /* removes the store; NULL is fine */

/* Runs turns until nothing is left to do. ERR_ codes of what stopped it otherwise. */
int spec_router_run(struct spec_router *r, struct err *err);

/* Runs, then moves the clock on and runs at each moment at which something is due. */
int spec_router_advance(struct spec_router *r, int64_t ms, struct err *err);

/* A death of the process in the next turn that handles a delivery, and a new start on the
 * same store: before the commit, or after it and before the acks. */
void spec_router_crash(struct spec_router *r, bool before_commit);

/* The deliveries of the next turn that has some come a second time. */
void spec_router_duplicate(struct spec_router *r);

/* Publishes as another service would: to an exchange, or (kind EXCHANGE_DEFAULT) to the
 * queue of that routing key. ERR_NOT_FOUND: no queue took it. */
int spec_router_deliver(struct spec_router *r, const struct destination *to,
                        const struct message *m, struct err *err);

/* Adds an outbox row, as the business would. */
int spec_router_emit(struct spec_router *r, const struct message *m, int64_t *id_out,
                     struct err *err);

/* Has an event of the router's own happen: type, business key 1 and body of the message. */
int spec_router_raise(struct spec_router *r, const struct message *m, struct err *err);

/* Another program's connection to the store, for SQL between turns; lent until a crash. */
int spec_router_sql(struct spec_router *r, struct spec_sql **out, struct err *err);

struct broker *spec_router_broker(struct spec_router *r); /* spec_broker.h */
const struct rules *spec_router_rules(struct spec_router *r);
const struct counters *spec_router_counters(struct spec_router *r);
int64_t spec_router_now_ms(const struct spec_router *r);

/* All log lines so far, as JSON, appended. */
int spec_router_log(struct spec_router *r, struct buf *out, struct err *err);

#endif
