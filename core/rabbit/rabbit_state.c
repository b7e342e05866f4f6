/* rabbit_state - see rabbit_int.h. What the driver says of itself, and which destinations it knows
 * to lead nowhere (ops->state, ops->trouble, ops->reach). */
#include "rabbit/rabbit_int.h"

#include <stdio.h>
#include <string.h>

/* A link that was never asked for counts as up. */
static bool is_up(const struct half *h)
{
    return !h->opened || link_is_up(h->link);
}

static const char *state_word(const struct rabbit *r)
{
    if (r->state != RABBIT_RUNNING)
        return "stopped";
    if (!is_up(&r->publish))
        return link_state_word(r->publish.link);
    if (!is_up(&r->consume))
        return link_state_word(r->consume.link);
    return link_is_blocked(r->publish.link) ? "blocked" : "up";
}

/* The first of what is wrong, the gravest first. */
static const char *first_trouble(const struct rabbit *r)
{
    const char *trouble;

    if (!is_up(&r->publish))
        return link_error(r->publish.link);
    if (!is_up(&r->consume))
        return link_error(r->consume.link);
    if (r->blocked[0] != '\0')
        return r->blocked;
    trouble = declare_trouble(r->publish.declare);
    if (trouble == NULL)
        trouble = declare_trouble(r->consume.declare);
    if (trouble == NULL)
        trouble = consumer_trouble(r->consumer);
    if (trouble == NULL)
        trouble = publisher_trouble(r->publisher);
    return trouble;
}

static const char *slow_consumer(struct rabbit *r)
{
    struct broker_trouble trouble;
    size_t n = 0;

    for (size_t at = n; consumer_trouble_at(r->consumer, &at, &trouble); at = ++n) {
        if (trouble.standby)
            continue;
        snprintf(r->awaited, sizeof r->awaited, "%s \"%s\": %s", trouble.what, trouble.name,
                 trouble.why);
        return r->awaited;
    }
    return NULL;
}

/* Nothing is wrong, but an answer is still to come. */
static const char *awaited(struct rabbit *r)
{
    const char *words = declare_awaited(r->consume.declare, r->awaited, sizeof r->awaited);

    if (words == NULL)
        words = declare_awaited(r->publish.declare, r->awaited, sizeof r->awaited);
    return words != NULL ? words : slow_consumer(r);
}

/* Whoever is not ready has a reason. */
static const char *reason_for(struct rabbit *r, bool ready)
{
    const char *words = r->state == RABBIT_RUNNING ? first_trouble(r) : "";

    if (words == NULL && !ready)
        words = awaited(r);
    if (words == NULL)
        words = ready ? "" : "the consumers are being opened";
    return words;
}

static bool is_ready(const struct rabbit *r)
{
    return r->state == RABBIT_RUNNING && is_up(&r->publish) && is_up(&r->consume) &&
           !link_is_blocked(r->publish.link) && consumer_is_ready(r->consumer) &&
           declare_trouble(r->publish.declare) == NULL &&
           declare_trouble(r->consume.declare) == NULL && !declare_is_late(r->publish.declare) &&
           !declare_is_late(r->consume.declare);
}

void rabbit_report(struct broker *b, struct broker_state *out)
{
    struct rabbit *r = (struct rabbit *)b;
    const bool ready = is_ready(r);
    struct tls_facts facts = {.version = ""};

    if (r->tls != NULL)
        tls_facts(r->tls, &facts);
    *out = (struct broker_state){
        .word = state_word(r),
        .error = reason_for(r, ready),
        .ready = ready,
        .in_flight = publisher_in_flight(r->publisher),
        .unacked = consumer_unacked(r->consumer),
        .unacked_bytes = consumer_bytes(r->consumer),
        .tls = facts.version,
        .certificate_ends = facts.ends_ms,
        .peer_certificate_ends = facts.peer_ends_ms,
    };
}

bool rabbit_trouble(struct broker *b, size_t n, struct broker_trouble *out)
{
    struct rabbit *r = (struct rabbit *)b;

    return r->state == RABBIT_RUNNING && (declare_trouble_at(r->publish.declare, &n, out) ||
                                          declare_trouble_at(r->consume.declare, &n, out) ||
                                          consumer_trouble_at(r->consumer, &n, out) ||
                                          publisher_trouble_at(r->publisher, &n, out));
}

/* AMQP does not show bindings. A queue can be looked for by name; an exchange that was not there
 * until now has only the bindings that this router makes. */
static bool is_subscribed(const struct topology *t, const char *queue)
{
    for (size_t i = 0; i < t->n_subscriptions; i++)
        if (strcmp(t->subscriptions[i].queue, queue) == 0)
            return true;
    return false;
}

static bool is_bound(const struct topology *t, const char *exchange)
{
    for (size_t i = 0; i < t->n_subscriptions; i++) {
        const struct subscription *s = &t->subscriptions[i];

        for (size_t k = 0; k < s->n_from; k++)
            if (strcmp(s->from[k].exchange, exchange) == 0)
                return true;
        for (size_t k = 0; k < s->n_sources; k++)
            if (strcmp(s->sources[k].exchange, exchange) == 0)
                return true;
    }
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
