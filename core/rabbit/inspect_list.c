/* inspect_list - see inspect_int.h. */
#include "rabbit/inspect_int.h"

#include <stdlib.h>
#include <string.h>

static bool is_known(const struct inspection *in, const struct question *q)
{
    for (size_t i = 0; i < in->n_questions; i++) {
        const struct question *other = &in->questions[i];

        /* A queue that is subscribed need not be asked for as a destination. */
        if ((other->kind == ASK_EXCHANGE) == (q->kind == ASK_EXCHANGE) &&
            other->exchange_kind == q->exchange_kind && strcmp(other->name, q->name) == 0)
            return true;
    }
    return false;
}

static void add(struct inspection *in, struct question q)
{
    if (q.origin == NULL)
        q.origin = "";
    if (!is_known(in, &q))
        in->questions[in->n_questions++] = q;
}

static void add_destinations(struct inspection *in, enum question_kind kind, const char *origin,
                             const struct destination *to, size_t n, bool sent_to)
{
    for (size_t i = 0; i < n; i++) {
        if (kind == ASK_EXCHANGE && to[i].kind != EXCHANGE_DEFAULT)
            add(in, (struct question){.kind = kind,
                                      .name = to[i].exchange,
                                      .origin = origin,
                                      .exchange_kind = to[i].kind,
                                      .sent_to_alone = sent_to});
        else if (kind == ASK_TARGET && to[i].kind == EXCHANGE_DEFAULT)
            add(in, (struct question){.kind = kind, .name = to[i].routing_key, .origin = origin});
    }
}

static size_t count_most(const struct topology *t)
{
    size_t n = t->n_subscriptions;

    for (size_t i = 0; i < t->n_subscriptions; i++)
        n += t->subscriptions[i].n_from + t->subscriptions[i].n_sources;
    for (size_t i = 0; i < t->n_routes; i++)
        n += t->routes[i].n_to;
    return n;
}

int inspect_list(struct inspection *in, const struct topology *t)
{
    in->questions = calloc(count_most(t) + 1, sizeof *in->questions);
    if (in->questions == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < t->n_subscriptions; i++) {
        const struct subscription *s = &t->subscriptions[i];

        add_destinations(in, ASK_EXCHANGE, s->origin, s->from, s->n_from, false);
        add_destinations(in, ASK_EXCHANGE, s->origin, s->sources, s->n_sources, false);
    }
    for (size_t i = 0; i < t->n_routes; i++)
        add_destinations(in, ASK_EXCHANGE, t->routes[i].origin, t->routes[i].to, t->routes[i].n_to,
                         t->routes[i].unroutable != UNROUTABLE_DROP);
    for (size_t i = 0; i < t->n_subscriptions; i++)
        add(in, (struct question){.kind = ASK_QUEUE,
                                  .name = t->subscriptions[i].queue,
                                  .origin = t->subscriptions[i].origin,
                                  .queue_type = t->subscriptions[i].queue_type,
                                  .rule = &t->subscriptions[i]});
    for (size_t i = 0; i < t->n_routes; i++)
        add_destinations(in, ASK_TARGET, t->routes[i].origin, t->routes[i].to, t->routes[i].n_to,
                         false);
    return OK;
}
