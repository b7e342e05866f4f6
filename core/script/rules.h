/*
 * rules - what the files under rules/ declared, sealed once they are loaded
 *
 * Filled by the bindings of herald.route, herald.subscribe and herald.on while a
 * generation is loaded; read-only from then on.
 */
#ifndef HERALD_SCRIPT_RULES_H
#define HERALD_SCRIPT_RULES_H

#include "base/err.h"
#include "base/text.h"
#include "base/topology.h"
#include "script/lookup.h"

#include <stddef.h>

/* One herald.on. "*" stands for any type or order type. */
struct handler {
    const char *type;
    const char *order_type;
    const char *queue;                /* only for messages of this queue; NULL: of any */
    const struct retry_policy *retry; /* its own; NULL: the subscription's */
    int64_t timeout_ms;               /* its own limit of time; 0: the setting's */
    int ref;                          /* the function, in the Lua registry */
    const char *json;   /* all of that, the function by its text: what tells it from another */
    const char *origin; /* "rules/enrol.lua:12" */
};

/* The three that can be declared. */
enum rule_kind { RULE_SUBSCRIPTION, RULE_ROUTE, RULE_HANDLER, RULE_KINDS };

/* What all of them have. */
struct rule {
    const char *name[LOOKUP_PARTS]; /* no other of its kind has it: the queue; type and order type;
                                       type, order type and queue. NULL: there is no such part */
    const char *json;               /* what was declared (declared.h) */
    const char *origin;
};

struct rules;

struct rules *rules_new(void); /* NULL when out of memory */
void rules_free(struct rules **r);

/* Valid as long as the rules. */
const struct topology *rules_topology(const struct rules *r);

const char *rules_word(enum rule_kind kind); /* "subscription", "route", "handler" */
size_t rules_count(const struct rules *r, enum rule_kind kind);

/* By position, as declared; false beyond the last. */
bool rules_at(const struct rules *r, enum rule_kind kind, size_t i, struct rule *out);

/* The one with exactly this name; false: there is none. */
bool rules_find(const struct rules *r, enum rule_kind kind, const char *const name[LOOKUP_PARTS],
                struct rule *out);

/* By position; NULL beyond the last. */
const struct handler *rules_handler_at(const struct rules *r, size_t i);

/* NULL: nobody subscribes to this queue. */
const struct subscription *rules_subscription(const struct rules *r, struct slice queue);

/* Most specific first: (type, order type), (type, "*"), ("*", "*"), each for this queue
 * before any queue; NULL: none. An absent order type matches "*" only. */
const struct handler *rules_handler(const struct rules *r, struct slice queue, struct slice type,
                                    struct slice order_type);

/* (type, order type) first, then the type's route without order type; NULL: none. */
const struct route *rules_route(const struct rules *r, struct slice type, struct slice order_type);

/* True: rules_route would find it again. The rules are sealed. */
bool route_is_for(const struct route *route, struct slice type, struct slice order_type);

#endif
