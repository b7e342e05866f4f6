/* changes - script_changes: what differs between two generations.
 *
 * Everything declared has a name of up to three parts, and is the same where its content is: the
 * text of a file, the JSON of a rule. Two lists are compared: first what is new or different,
 * then what is gone. Each is found by its name; only what is told of gets its name written out. */
#include "script/script_int.h"

#include <stdio.h>
#include <string.h>

/* The kinds are those of rules, and before them the files. */
enum { FILES = -1, NAME_SIZE = 1024 };

/* One thing of a list; all of it is lent. */
struct thing {
    struct rule rule;
    struct slice content;
};

static bool put_file(const struct source *f, struct thing *out)
{
    if (f != NULL)
        *out = (struct thing){.rule = {.name = {f->chunk + 1}, .origin = f->chunk + 1},
                              .content = {f->text, f->len}};
    return f != NULL;
}

static bool put_rule(bool found, struct thing *out)
{
    if (found)
        out->content = slice_of(out->rule.json);
    return found;
}

/* Fills in the i-th thing; false beyond the last. */
static bool thing_at(const struct script *s, int kind, size_t i, struct thing *out)
{
    if (kind == FILES)
        return put_file(i < s->sources.n ? &s->sources.files[i] : NULL, out);
    return put_rule(rules_at(s->rules, (enum rule_kind)kind, i, &out->rule), out);
}

/* Fills in the one of the same name as `like`; false: there is none. */
static bool same_thing(const struct script *s, int kind, const struct thing *like,
                       struct thing *out)
{
    if (kind == FILES)
        return put_file(sources_find(&s->sources, like->rule.name[0] - 1), out); /* with its "@" */
    return put_rule(rules_find(s->rules, (enum rule_kind)kind, like->rule.name, &out->rule), out);
}

static bool differs(struct slice a, struct slice b)
{
    return a.len != b.len || (a.len > 0 && memcmp(a.data, b.data, a.len) != 0);
}

/* "paid", "paid 60201", "paid 60201 of learning_queue" */
static void tell(script_change_fn *fn, void *arg, enum script_change change, int kind,
                 const struct rule *r)
{
    const char *second = r->name[1], *third = r->name[2];
    char name[NAME_SIZE];

    snprintf(name, sizeof name, "%s%s%s%s%s", r->name[0], second ? " " : "", second ? second : "",
             third ? " of " : "", third ? third : "");
    fn(arg, change, kind == FILES ? "file" : rules_word((enum rule_kind)kind), name, r->origin);
}

void script_changes(const struct script *before, const struct script *after, script_change_fn *fn,
                    void *arg)
{
    struct thing now, then;

    for (int kind = FILES; kind < RULE_KINDS; kind++) {
        for (size_t i = 0; thing_at(after, kind, i, &now); i++) {
            if (!same_thing(before, kind, &now, &then))
                tell(fn, arg, SCRIPT_ADDED, kind, &now.rule);
            else if (differs(then.content, now.content))
                tell(fn, arg, SCRIPT_CHANGED, kind, &now.rule);
        }
        for (size_t i = 0; thing_at(before, kind, i, &then); i++)
            if (!same_thing(after, kind, &then, &now))
                tell(fn, arg, SCRIPT_REMOVED, kind, &then.rule);
    }
}
