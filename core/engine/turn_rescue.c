/*
 * turn_rescue - messages that the broker may give up on are taken into the store before a handler
 * runs
 *
 * A quorum queue has a delivery limit, and counts for every unacked message when a router dies,
 * whoever's handler it was. So what has come back often enough is not tried but written as
 * waiting, which is no attempt, and acked, in a turn of its own: no handler, and no other function
 * of the rules but those that read and identify a message, can end the process before that.
 */
#include "engine/item.h"

#include "base/failpoint.h"

/* The turn that is run again may be for one that is rescued, or for another. */
static size_t limit_of(struct turn *t)
{
    if (t->caution.limit == 0)
        return t->parts.messages_max;
    return t->caution.rescuing ? t->caution.limit : 0;
}

static int rescue(struct turn *t, struct delivery *d, struct err *err)
{
    struct broker *b = t->parts.broker;
    int rc = handle_delivery(t, d, err);

    if (rc == OK)
        rc = b->ops->accept(b, d, err);
    t->handled += rc == OK;
    return rc;
}

int rescue_messages(struct turn *t, struct err *err)
{
    struct broker *b = t->parts.broker;
    size_t n = b->ops->take_endangered(b, t->deliveries, limit_of(t));
    int rc = OK;

    if (n == 0) {
        if (t->caution.rescuing)
            t->caution = (struct caution){.limit = 0}; /* whom it was about is gone */
        return OK;
    }
    t->rescuing = t->more = true;
    failpoint("begun");
    for (size_t i = 0; i < n && rc == OK && !(i > 0 && turn_is_old(t)); i++)
        rc = rescue(t, t->deliveries[i], err);
    if (rc == OK && t->delta.rescued > 0)
        log_event(t->parts.log, LOG_WARN, "messages.rescued",
                  LOG_FIELDS(log_text("queue", t->deliveries[0]->subscription->queue),
                             log_int("messages", t->delta.rescued), log_text("why", RESCUED)));
    return rc;
}
