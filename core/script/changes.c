/* changes - script_changes: what differs between two generations.
 *
 * Everything declared has a name of up to three parts, and is the same where its content
 * or its digest is. Two lists are compared: first what is new or different, then what
 * is gone. Each is found by its name; only what is told of gets its name written out. */
#include "script/script_int.h"

#include <stdio.h>
#include <string.h>

enum { NAME_SIZE = 1024 };

/* One thing of a list; all of it is lent. */
struct thing {
    const char *part[3]; /* of its name; NULL: there is none */
    const char *origin;
    struct slice content; /* of a file; else absent */
    uint64_t digest;      /* of what is declared */
};

/* Fills in the i-th thing; false beyond the last. */
typedef bool thing_fn(const struct script *s, size_t i, struct thing *out);

/* Fills in the one of the same name as `like`; false: there is none. */
typedef bool same_fn(const struct script *s, const struct thing *like, struct thing *out);

static bool put_file(const struct source *f, struct thing *out)
{
    if (f != NULL)
        *out = (struct thing){
            .part = {f->chunk + 1}, .origin = f->chunk + 1, .content = {f->text, f->len}};
    return f != NULL;
}

static bool file_at(const struct script *s, size_t i, struct thing *out)
{
    return put_file(i < s->sources.n ? &s->sources.files[i] : NULL, out);
}

static bool same_file(const struct script *s, const struct thing *like, struct thing *out)
{
    return put_file(sources_find(&s->sources, like->part[0] - 1), out); /* with its "@" */
}

static bool put_subscription(const struct subscription *one, struct thing *out)
{
    if (one != NULL)
        *out = (struct thing){.part = {one->queue}, .origin = one->origin, .digest = one->digest};
    return one != NULL;
}

static bool subscription_at(const struct script *s, size_t i, struct thing *out)
{
    const struct topology *t = rules_topology(s->rules);

    return put_subscription(i < t->n_subscriptions ? &t->subscriptions[i] : NULL, out);
}

static bool same_subscription(const struct script *s, const struct thing *like, struct thing *out)
{
    return put_subscription(rules_subscription(s->rules, slice_of(like->part[0])), out);
}

static bool put_route(const struct route *r, struct thing *out)
{
    if (r != NULL)
        *out = (struct thing){
            .part = {r->type, r->order_type}, .origin = r->origin, .digest = r->digest};
    return r != NULL;
}

static bool route_at(const struct script *s, size_t i, struct thing *out)
{
    const struct topology *t = rules_topology(s->rules);

    return put_route(i < t->n_routes ? &t->routes[i] : NULL, out);
}

static bool same_route(const struct script *s, const struct thing *like, struct thing *out)
{
    return put_route(rules_exact_route(s->rules, slice_of(like->part[0]), slice_of(like->part[1])),
                     out);
}

static bool put_handler(const struct handler *h, struct thing *out)
{
    if (h != NULL)
        *out = (struct thing){
            .part = {h->type, h->order_type, h->queue}, .origin = h->origin, .digest = h->digest};
    return h != NULL;
}

static bool handler_at(const struct script *s, size_t i, struct thing *out)
{
    return put_handler(rules_handler_at(s->rules, i), out);
}

static bool same_handler(const struct script *s, const struct thing *like, struct thing *out)
{
    return put_handler(rules_exact_handler(s->rules, slice_of(like->part[0]),
                                           slice_of(like->part[1]), slice_of(like->part[2])),
                       out);
}

static const struct {
    const char *what;
    thing_fn *at;
    same_fn *same;
} lists[] = {{"file", file_at, same_file},
             {"subscription", subscription_at, same_subscription},
             {"route", route_at, same_route},
             {"handler", handler_at, same_handler}};

static bool differs(const struct thing *a, const struct thing *b)
{
    return a->digest != b->digest || a->content.len != b->content.len ||
           (a->content.len > 0 && memcmp(a->content.data, b->content.data, a->content.len) != 0);
}

/* "paid", "paid 60201", "paid 60201 of learning_queue" */
static void tell(script_change_fn *fn, void *arg, enum script_change change, const char *what,
                 const struct thing *t)
{
    char name[NAME_SIZE];

    snprintf(name, sizeof name, "%s%s%s%s%s", t->part[0], t->part[1] ? " " : "",
             t->part[1] ? t->part[1] : "", t->part[2] ? " of " : "", t->part[2] ? t->part[2] : "");
    fn(arg, change, what, name, t->origin);
}

void script_changes(const struct script *before, const struct script *after, script_change_fn *fn,
                    void *arg)
{
    struct thing now, then;

    for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++) {
        for (size_t i = 0; lists[k].at(after, i, &now); i++) {
            if (!lists[k].same(before, &now, &then))
                tell(fn, arg, SCRIPT_ADDED, lists[k].what, &now);
            else if (differs(&then, &now))
                tell(fn, arg, SCRIPT_CHANGED, lists[k].what, &now);
        }
        for (size_t i = 0; lists[k].at(before, i, &then); i++)
            if (!lists[k].same(after, &then, &now))
                tell(fn, arg, SCRIPT_REMOVED, lists[k].what, &then);
    }
}
