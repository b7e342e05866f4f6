/* changes - script_changes: what differs between two generations.
 *
 * Everything declared has a name of up to three parts, and is the same where its content
 * or its fingerprint is. Two lists are compared: first what is new or different, then what
 * is gone. The lists are short; only what is told of gets its name written out. */
#include "script/script_int.h"

#include <stdio.h>
#include <string.h>

enum { NAME_SIZE = 1024 };

/* One thing of a list; all of it is lent. */
struct thing {
    const char *part[3]; /* of its name; NULL: there is none */
    const char *origin;
    struct slice content; /* of a file; else absent */
    uint64_t fingerprint; /* of what is declared */
};

/* Fills in the i-th thing; false beyond the last. */
typedef bool thing_fn(const struct script *s, size_t i, struct thing *out);

static bool file_at(const struct script *s, size_t i, struct thing *out)
{
    const struct source *f;

    if (i >= s->sources.n)
        return false;
    f = &s->sources.files[i];
    *out = (struct thing){
        .part = {f->chunk + 1}, .origin = f->chunk + 1, .content = {f->text, f->len}};
    return true;
}

static bool subscription_at(const struct script *s, size_t i, struct thing *out)
{
    const struct topology *t = rules_topology(s->rules);
    const struct subscription *one;

    if (i >= t->n_subscriptions)
        return false;
    one = &t->subscriptions[i];
    *out = (struct thing){
        .part = {one->queue}, .origin = one->origin, .fingerprint = one->fingerprint};
    return true;
}

static bool route_at(const struct script *s, size_t i, struct thing *out)
{
    const struct topology *t = rules_topology(s->rules);
    const struct route *r;

    if (i >= t->n_routes)
        return false;
    r = &t->routes[i];
    *out = (struct thing){
        .part = {r->type, r->order_type}, .origin = r->origin, .fingerprint = r->fingerprint};
    return true;
}

static bool handler_at(const struct script *s, size_t i, struct thing *out)
{
    const struct handler *h = rules_handler_at(s->rules, i);

    if (h == NULL)
        return false;
    *out = (struct thing){.part = {h->type, h->order_type, h->queue},
                          .origin = h->origin,
                          .fingerprint = h->fingerprint};
    return true;
}

static const struct {
    const char *what;
    thing_fn *at;
} lists[] = {{"file", file_at},
             {"subscription", subscription_at},
             {"route", route_at},
             {"handler", handler_at}};

static bool same_name(const struct thing *a, const struct thing *b)
{
    for (size_t i = 0; i < sizeof a->part / sizeof a->part[0]; i++) {
        if (a->part[i] == NULL || b->part[i] == NULL) {
            if (a->part[i] != b->part[i])
                return false;
        } else if (strcmp(a->part[i], b->part[i]) != 0) {
            return false;
        }
    }
    return true;
}

static bool find(const struct script *s, thing_fn *at, const struct thing *wanted,
                 struct thing *out)
{
    for (size_t i = 0; at(s, i, out); i++)
        if (same_name(out, wanted))
            return true;
    return false;
}

static bool differs(const struct thing *a, const struct thing *b)
{
    return a->fingerprint != b->fingerprint || a->content.len != b->content.len ||
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
            if (!find(before, lists[k].at, &now, &then))
                tell(fn, arg, SCRIPT_ADDED, lists[k].what, &now);
            else if (differs(&then, &now))
                tell(fn, arg, SCRIPT_CHANGED, lists[k].what, &now);
        }
        for (size_t i = 0; lists[k].at(before, i, &then); i++)
            if (!find(after, lists[k].at, &then, &now))
                tell(fn, arg, SCRIPT_REMOVED, lists[k].what, &then);
    }
}
