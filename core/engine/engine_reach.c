/* engine_reach - routes that lead to no queue, as far as the broker can tell
 *
 * Asked once for each generation that is taken up. A broker that answers later is asked
 * again by the house timer, and tells of the routes in their order: `reach_at` is the
 * first one it has not told of. A route whose messages may be dropped is none of them. The first
 * TOLD_MAX are named, the others counted: rules that have thousands of them have one fault. */
#include "base/json.h"
#include "engine/engine_int.h"
#include "script/lookup.h"

#include <stdio.h>
#include <stdlib.h>

enum { TOLD_MAX = 200, UNREACHED_MAX = 256 * 1024, WORDS_MAX = 1024 };

void reach_init(struct engine *e)
{
    buf_init(&e->unreached, UNREACHED_MAX);
}

static void describe(const struct destination *to, char *place, char *what_now)
{
    if (to->kind == EXCHANGE_DEFAULT) {
        snprintf(place, WORDS_MAX, "queue \"%s\", which does not exist", to->routing_key);
        snprintf(what_now, WORDS_MAX,
                 "subscribe to it, or have it made by the service that takes from it");
        return;
    }
    snprintf(place, WORDS_MAX, "%s exchange \"%s\"%s%s%s, where no queue is bound",
             exchange_kind_word(to->kind), to->exchange, to->routing_key[0] ? " as \"" : "",
             to->routing_key, to->routing_key[0] ? "\"" : "");
    snprintf(what_now, WORDS_MAX, "subscribe to it, or start the service that listens there");
}

static void tell(struct engine *e, const struct route *r, const struct destination *to)
{
    char place[WORDS_MAX], what_now[WORDS_MAX];
    const char *order_type = r->order_type ? r->order_type : "*";
    const struct json_string members[] = {{"type", r->type},
                                          {"order_type", order_type},
                                          {"to", place},
                                          {"where", r->origin},
                                          {"what_now", what_now}};

    describe(to, place, what_now);
    log_event(e->host.log, LOG_WARN, "route.nowhere",
              LOG_FIELDS(log_text("type", r->type), log_text("order_type", order_type),
                         log_text("to", place), log_text("origin", r->origin),
                         log_text("what_now", what_now)));
    json_put_line(&e->unreached, "nowhere", members, sizeof members / sizeof members[0]);
}

/* What the broker said of each destination: many routes may lead to one. */
struct answers {
    struct lookup places;
    struct answer {
        const struct destination *to;
        enum broker_reach reach;
    } * list; /* owned */
    size_t room;
};

static void name_answer(const void *list, size_t i, struct slice name[LOOKUP_PARTS])
{
    const struct destination *to = ((const struct answer *)list)[i].to;

    name[0] = slice_of(to->exchange);
    name[1] = slice_of(to->routing_key);
    name[2] = (struct slice){NULL, 0};
}

/* Without memory the broker is asked again, that is all. */
static void remember(struct answers *a, const struct answer *answer)
{
    struct slice name[LOOKUP_PARTS];
    size_t n = a->places.n, room = a->room ? 2 * a->room : 64;

    if (n == a->room) {
        struct answer *grown = realloc(a->list, room * sizeof *grown);

        if (grown == NULL)
            return;
        a->list = grown;
        a->room = room;
    }
    a->list[n] = *answer;
    name_answer(a->list, n, name);
    (void)lookup_add(&a->places, name);
}

static enum broker_reach reach_of(struct engine *e, struct answers *a, const struct destination *to)
{
    struct answer answer = {.to = to};
    struct slice name[LOOKUP_PARTS];
    size_t found;

    name_answer(&answer, 0, name);
    found = lookup_find(&a->places, name, name_answer, a->list);
    if (found != LOOKUP_NONE)
        return a->list[found].reach;
    answer.reach = e->broker->ops->reach(e->broker, to);
    remember(a, &answer);
    return answer.reach;
}

/* False: the broker has not answered yet. */
static bool look_at(struct engine *e, struct answers *a, const struct route *r)
{
    for (size_t i = 0; i < r->n_to; i++)
        if (reach_of(e, a, &r->to[i]) == REACH_ASKING)
            return false;
    for (size_t i = 0; i < r->n_to && r->unroutable != UNROUTABLE_DROP; i++)
        if (reach_of(e, a, &r->to[i]) == REACH_NO_QUEUE && ++e->n_unreached <= TOLD_MAX)
            tell(e, r, &r->to[i]);
    return true;
}

static int64_t n_not_named(const struct engine *e)
{
    return e->n_unreached > TOLD_MAX ? (int64_t)(e->n_unreached - TOLD_MAX) : 0;
}

void reach_look(struct engine *e)
{
    const struct topology *t = rules_topology(script_rules(e->script));
    struct answers answers = {.list = NULL};

    if (e->reach_at == t->n_routes)
        return;
    while (e->reach_at < t->n_routes && look_at(e, &answers, &t->routes[e->reach_at]))
        e->reach_at++;
    if (e->reach_at == t->n_routes && n_not_named(e) > 0)
        log_event(e->host.log, LOG_WARN, "route.nowhere_more",
                  LOG_FIELDS(log_int("routes", n_not_named(e))));
    lookup_free(&answers.places);
    free(answers.list);
}

void reach_begin(struct engine *e)
{
    buf_clear(&e->unreached);
    e->reach_at = 0;
    e->n_unreached = 0;
    reach_look(e);
}

bool engine_unreached(const struct engine *e, struct buf *lines)
{
    if (e->unreached.len > 0)
        buf_append(lines, e->unreached.data, e->unreached.len);
    if (n_not_named(e) > 0)
        buf_printf(lines, "{\"nowhere_more\":%lld}\n", (long long)n_not_named(e));
    return e->reach_at == rules_topology(script_rules(e->script))->n_routes;
}
