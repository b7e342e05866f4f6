/* rabbit_reach - what can be told of where a route leads, without sending anything
 *
 * AMQP does not show bindings. A queue can be looked for by name; an exchange that was not
 * there until now has only the bindings that this router makes. */
#include "rabbit/rabbit_int.h"

#include <string.h>

static bool is_subscribed(const struct topology *t, const char *queue)
{
    for (size_t i = 0; i < t->n_subscriptions; i++)
        if (strcmp(t->subscriptions[i].queue, queue) == 0)
            return true;
    return false;
}

static bool is_bound(const struct topology *t, const char *exchange)
{
    for (size_t i = 0; i < t->n_subscriptions; i++)
        for (size_t k = 0; k < t->subscriptions[i].n_from; k++)
            if (strcmp(t->subscriptions[i].from[k].exchange, exchange) == 0)
                return true;
    return false;
}

int rabbit_plan_reach(struct rabbit *r, const struct topology *t, const struct destination *to,
                      struct err *err)
{
    if (to->kind != EXCHANGE_DEFAULT || is_subscribed(t, to->routing_key))
        return OK; /* an exchange is declared by whoever publishes */
    if (declare_target(r->publish.declare, to->routing_key) == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a queue");
    return OK;
}

enum broker_reach rabbit_reach(struct broker *b, const struct destination *to)
{
    struct rabbit *r = (struct rabbit *)b;
    const bool direct = to->kind == EXCHANGE_DEFAULT;
    const struct declare_item *item;

    if (direct ? is_subscribed(r->topology, to->routing_key) : is_bound(r->topology, to->exchange))
        return REACH_OPEN;
    item = direct ? declare_target(r->publish.declare, to->routing_key)
                  : declare_exchange(r->publish.declare, to, true);
    if (item == NULL)
        return REACH_OPEN;
    if (declare_state(item) == DECLARE_WAITING)
        return REACH_ASKING;
    return declare_state(item) == DECLARE_READY && declare_was_absent(item) ? REACH_NO_QUEUE
                                                                            : REACH_OPEN;
}
