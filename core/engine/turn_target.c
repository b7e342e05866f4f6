/* turn_target - where an outbox row goes: its leg, its route, or why it does not go
 * (turn_int.h) */
#include "engine/turn_int.h"

#include "store/outbox.h"

#include <stdio.h>

/* Most rows are of the type of the one before. */
const struct route *publish_route(struct turn *t, const struct outbox_row *row)
{
    const struct message *m = &row->message;

    if (row->leg_kind != NULL)
        return NULL;
    if (t->route == NULL || !route_is_for(t->route, m->type, m->key[1]))
        t->route = rules_route(script_rules(*t->script), m->type, m->key[1]);
    return t->route;
}

/* A route that the rules had until just now may return: then nothing is to be parked. */
static bool waits_for_route(const struct turn *t, const struct outbox_row *row)
{
    return t->past != NULL &&
           past_rules_wait_for_route(t->past, row->message.type, row->message.key[1],
                                     clock_mono(&t->parts.clock)) > 0;
}

static void decide_unrouted(struct turn *t, const struct outbox_row *row)
{
    char why[300];

    if (waits_for_route(t, row)) {
        publish_decide(t, row, DECIDE_PUT_OFF,
                       "waits for the route that the rules had until just now");
        return;
    }

    snprintf(why, sizeof why, "no route for type \"%.*s\": add herald.route{...} to rules/",
             (int)row->message.type.len, row->message.type.data);
    publish_decide(t, row, DECIDE_PARK, why);
}

/* A broken function costs time, never data: the row waits for mended rules, and is parked in
 * the end. */
static bool ask_route(struct turn *t, const struct outbox_row *row, const struct route *route,
                      struct target *out)
{
    struct err err = {0};
    int rc;

    if (t->script_spoiled) {
        publish_decide(t, row, DECIDE_PUT_OFF, "the rules' state is being rebuilt");
        return false;
    }
    t->bridge.about = (struct bridge_about){.message_id = row->message.id,
                                            .generation = t->generation,
                                            .hash = script_hash(*t->script)};
    watchdog_enter(t->parts.watchdog, "a route's function");
    rc = script_route(*t->script, route, &row->message, &out->to, &out->n, &err);
    watchdog_leave(t->parts.watchdog);
    t->bridge.about = (struct bridge_about){.hash = NULL};
    t->script_spoiled = rc == ERR_NOMEM;
    if (rc == OK) {
        REQUIRE(out->n > 0); /* an empty list is a mistake of the function */
        return true;
    }
    publish_decide(t, row, DECIDE_REFUSE, err.text);
    return false;
}

static struct destination leg_of(const struct outbox_row *row)
{
    return (struct destination){.kind = exchange_kind_of(row->leg_kind),
                                .exchange = row->leg_exchange,
                                .routing_key = row->leg_routing_key};
}

const struct destination *publish_glance(struct turn *t, const struct outbox_row *row,
                                         struct destination *leg)
{
    const struct route *route;

    if (row->leg_kind != NULL) {
        *leg = leg_of(row);
        return leg;
    }
    route = publish_route(t, row);
    if (route == NULL || route->to_function != 0 || route->n_to != 1 || route->order_by != 0)
        return NULL;
    return route->to;
}

bool target_find(struct turn *t, const struct outbox_row *row, const struct route *route,
                 struct target *out)
{
    if (row->leg_kind != NULL) {
        out->leg = leg_of(row);
        out->to = &out->leg;
        out->n = 1;
        return true;
    }
    if (route == NULL) {
        decide_unrouted(t, row);
        return false;
    }
    if (route->to_function != 0)
        return ask_route(t, row, route, out);
    out->to = route->to;
    out->n = route->n_to;
    return true;
}
