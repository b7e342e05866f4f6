/*
 * past_rules - what sets of rules of the last minutes had, and the one in force has not
 *
 * While files are being changed a set may lack for a moment what the one before it had. Until
 * the set in force has stood still (`stable_at_ms`), a message that had a handler and a row
 * that had a route wait for them; then they are treated as without.
 */
#ifndef HERALD_ENGINE_PAST_RULES_H
#define HERALD_ENGINE_PAST_RULES_H

#include "engine/nameset.h"
#include "engine/ruleset.h"

enum {
    PAST_STILL_MS = 10 * 1000,     /* a set has stood still after this long */
    PAST_KEPT_MS = 10 * 60 * 1000, /* for so long it counts that there was one */
};

struct past_rules {
    struct nameset handlers;
    struct nameset routes;
    int64_t stable_at_ms; /* monotonic; INT64_MAX: when somebody says so */
};

void past_rules_init(struct past_rules *p);
void past_rules_free(struct past_rules *p);

/* This set replaces one that was in force or remembered: what that one had and `next` has not is
 * noted. What there is no room for is not noted, and does not wait. */
void past_rules_note(struct past_rules *p, struct slice ruleset, const struct script *next,
                     int64_t now_ms);

/* How long a message without a handler, a row without a route, is to wait; 0: not at all. */
int64_t past_rules_wait_for_handler(const struct past_rules *p, struct slice queue,
                                    struct slice type, struct slice order_type, int64_t now_ms);
int64_t past_rules_wait_for_route(const struct past_rules *p, struct slice type,
                                  struct slice order_type, int64_t now_ms);

#endif
