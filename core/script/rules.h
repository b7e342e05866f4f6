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

#include <stddef.h>

/* One herald.on. "*" stands for any type or order type. */
struct handler {
    char *type;
    char *order_type;
    char *queue;                /* only for messages of this queue; NULL: of any */
    struct retry_policy *retry; /* its own; NULL: the subscription's */
    int64_t timeout_ms;         /* its own limit of time; 0: the setting's */
    int ref;                    /* the function, in the Lua registry */
    uint64_t digest;            /* of the function's text and the options */
    char *origin;               /* "rules/enrol.lua:12" */
};

struct rules;

struct rules *rules_new(void); /* NULL when out of memory */
void rules_free(struct rules **r);

/* Each takes over the strings of what it is given (also when it fails). ERR_CONFIG
 * names both places of a duplicate: a handler pair, a route pair, a queue; and of an exchange
 * that would be of two kinds. */
int rules_add_route(struct rules *r, struct route *route, struct err *err);
int rules_add_subscription(struct rules *r, struct subscription *s, struct err *err);
int rules_add_handler(struct rules *r, struct handler *h, struct err *err);

/* Nothing may be added afterwards. */
void rules_seal(struct rules *r);

/* Valid as long as the rules. */
const struct topology *rules_topology(const struct rules *r);
size_t rules_handlers(const struct rules *r);

/* By position, as declared; NULL beyond the last. */
const struct handler *rules_handler_at(const struct rules *r, size_t i);

/* What was declared with exactly these words; NULL: nothing was. */
const struct handler *rules_exact_handler(const struct rules *r, struct slice type,
                                          struct slice order_type, struct slice queue);
const struct route *rules_exact_route(const struct rules *r, struct slice type,
                                      struct slice order_type);

/* NULL: nobody subscribes to this queue. */
const struct subscription *rules_subscription(const struct rules *r, struct slice queue);

/* Most specific first: (type, order type), (type, "*"), ("*", "*"), each for this queue
 * before any queue; NULL: none. An absent order type matches "*" only. */
const struct handler *rules_handler(const struct rules *r, struct slice queue, struct slice type,
                                    struct slice order_type);

/* (type, order type) first, then the type's route without order type; NULL: none. */
const struct route *rules_route(const struct rules *r, struct slice type, struct slice order_type);

#endif
