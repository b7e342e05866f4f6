/* ruleset - see ruleset.h. */
#include "engine/ruleset.h"

#include <string.h>

static void put(struct buf *out, enum ruleset_kind kind, const char *const name[LOOKUP_PARTS])
{
    char letter = (char)kind;

    buf_append(out, &letter, 1);
    for (size_t i = 0; i < LOOKUP_PARTS; i++)
        buf_append(out, name[i] ? name[i] : "", name[i] ? strlen(name[i]) + 1 : 1);
}

int ruleset_write(const struct script *s, struct buf *out)
{
    static const enum ruleset_kind kinds[RULE_KINDS] = {[RULE_SUBSCRIPTION] = RULESET_SUBSCRIPTION,
                                                        [RULE_ROUTE] = RULESET_ROUTE,
                                                        [RULE_HANDLER] = RULESET_HANDLER};
    const char *file[LOOKUP_PARTS] = {NULL};
    struct rule rule;

    for (size_t i = 0; (file[0] = script_file(s, i)) != NULL; i++)
        put(out, RULESET_FILE, file);
    for (int kind = 0; kind < RULE_KINDS; kind++)
        for (size_t i = 0; rules_at(script_rules(s), (enum rule_kind)kind, i, &rule); i++)
            put(out, kinds[kind], rule.name);
    return !out->failed ? OK : out->cap >= out->max ? ERR_LIMIT : ERR_NOMEM;
}

/* Takes a text and its zero byte; false: there is no whole one. */
static bool take_text(struct slice *left, struct slice *out)
{
    const char *end = left->len > 0 ? memchr(left->data, '\0', left->len) : NULL;

    if (end == NULL)
        return false;
    *out = (struct slice){left->data, (size_t)(end - left->data)};
    if (out->len == 0)
        out->data = NULL;
    left->len -= (size_t)(end - left->data) + 1;
    left->data = end + 1;
    return true;
}

bool ruleset_next(struct slice *left, struct ruleset_entry *out)
{
    if (left->len == 0)
        return false;
    out->kind = (enum ruleset_kind) * left->data++;
    left->len--;
    for (size_t i = 0; i < LOOKUP_PARTS; i++)
        if (!take_text(left, &out->name[i]))
            return false;
    return true;
}

/* One for any queue is also replaced by one for each queue. */
static bool misses_handler(const struct rules *rules, const struct slice name[LOOKUP_PARTS])
{
    const struct topology *t = rules_topology(rules);

    if (rules_handler(rules, name[2], name[0], name[1]) != NULL)
        return false;
    if (name[2].data != NULL || t->n_subscriptions == 0)
        return true;
    for (size_t i = 0; i < t->n_subscriptions; i++)
        if (rules_handler(rules, slice_of(t->subscriptions[i].queue), name[0], name[1]) == NULL)
            return true;
    return false;
}

bool ruleset_misses(const struct script *s, const struct ruleset_entry *r)
{
    switch (r->kind) {
    case RULESET_HANDLER:
        return misses_handler(script_rules(s), r->name);
    case RULESET_ROUTE:
        return rules_route(script_rules(s), r->name[0], r->name[1]) == NULL;
    case RULESET_SUBSCRIPTION:
        return rules_subscription(script_rules(s), r->name[0]) == NULL;
    case RULESET_FILE:
        return r->name[0].data != NULL && !script_has_file(s, r->name[0].data);
    }
    return false; /* of a later version */
}
