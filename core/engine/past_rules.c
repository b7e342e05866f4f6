/* past_rules - see past_rules.h. */
#include "engine/past_rules.h"

enum { NAMES_MAX = 200000 };

void past_rules_init(struct past_rules *p)
{
    *p = (struct past_rules){.handlers = {.max = NAMES_MAX}, .routes = {.max = NAMES_MAX}};
}

void past_rules_free(struct past_rules *p)
{
    nameset_clear(&p->handlers);
    nameset_clear(&p->routes);
}

void past_rules_note(struct past_rules *p, struct slice ruleset, const struct script *next,
                     int64_t now_ms)
{
    struct ruleset_entry r;

    /* An entry that is kept too long does no harm, since its time is looked at, too. */
    (void)nameset_keep_from(&p->handlers, now_ms - PAST_KEPT_MS);
    (void)nameset_keep_from(&p->routes, now_ms - PAST_KEPT_MS);
    while (ruleset_next(&ruleset, &r)) {
        if (r.kind == RULESET_HANDLER && ruleset_misses(next, &r))
            (void)nameset_put(&p->handlers, r.name, now_ms);
        else if (r.kind == RULESET_ROUTE && ruleset_misses(next, &r))
            (void)nameset_put(&p->routes, r.name, now_ms);
    }
}

static bool was_there(const struct nameset *s, struct slice type, struct slice order_type,
                      struct slice queue, int64_t now_ms)
{
    const struct slice name[LOOKUP_PARTS] = {type, order_type, queue};
    const int64_t *at = nameset_find(s, name);

    return at != NULL && now_ms - *at < PAST_KEPT_MS;
}

/* As rules_handler looks for one. */
static bool had_handler(const struct past_rules *p, struct slice queue, struct slice type,
                        struct slice order_type, int64_t now_ms)
{
    const struct slice any = slice_of("*"), no_queue = {NULL, 0};
    const struct slice pairs[][2] = {{type, order_type}, {type, any}, {any, any}};

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (was_there(&p->handlers, pairs[i][0], pairs[i][1], queue, now_ms) ||
            was_there(&p->handlers, pairs[i][0], pairs[i][1], no_queue, now_ms))
            return true;
    return false;
}

static int64_t left(const struct past_rules *p, int64_t now_ms)
{
    int64_t ms = p->stable_at_ms - now_ms;

    return ms < PAST_STILL_MS ? ms : PAST_STILL_MS;
}

int64_t past_rules_wait_for_handler(const struct past_rules *p, struct slice queue,
                                    struct slice type, struct slice order_type, int64_t now_ms)
{
    if (now_ms >= p->stable_at_ms || nameset_count(&p->handlers) == 0)
        return 0;
    return had_handler(p, queue, type, order_type, now_ms) ? left(p, now_ms) : 0;
}

int64_t past_rules_wait_for_route(const struct past_rules *p, struct slice type,
                                  struct slice order_type, int64_t now_ms)
{
    const struct slice none = {NULL, 0};

    if (now_ms >= p->stable_at_ms || nameset_count(&p->routes) == 0)
        return 0;
    if (was_there(&p->routes, type, none, none, now_ms) ||
        (order_type.data != NULL && was_there(&p->routes, type, order_type, none, now_ms)))
        return left(p, now_ms);
    return 0;
}
