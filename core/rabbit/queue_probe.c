/* queue_probe - see queue_probe.h. */
#include "rabbit/queue_probe.h"

#include "rabbit/channel.h"
#include "rabbit/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void queue_probe_begin(struct queue_probe *p, const char *queue)
{
    *p = (struct queue_probe){.queue = queue, .limit = -1};
}

static amqp_table_entry_t text_entry(const char *name, const char *text)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(name),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(text)}};
}

static amqp_table_entry_t number_entry(const char *name, int64_t number)
{
    return (amqp_table_entry_t){.key = amqp_cstring_bytes(name),
                                .value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = number}};
}

/* The delivery limit is asked for in its own way. */
static bool can_be_stated(const struct argument *a)
{
    return strlen(a->name) < sizeof((struct queue_probe_argument *)0)->name &&
           strlen(a->text) < QUEUE_PROBE_TEXT_MAX && strcmp(a->name, "x-delivery-limit") != 0;
}

void queue_probe_state(struct queue_probe *p, const struct arguments *a)
{
    for (size_t i = 0; i < a->n && p->n_arguments < ARGUMENTS_MAX; i++) {
        struct queue_probe_argument *to = &p->arguments[p->n_arguments];

        if (!can_be_stated(&a->list[i]))
            continue;
        *to = (struct queue_probe_argument){
            .kind = a->list[i].kind, .number = a->list[i].number, .stated = true};
        snprintf(to->name, sizeof to->name, "%s", a->list[i].name);
        snprintf(to->text, sizeof to->text, "%s", a->list[i].text);
        p->n_arguments++;
    }
}

bool queue_probe_differs(const struct queue_probe *p, const struct argument *a)
{
    const struct queue_probe_argument *found = queue_probe_find(p, a->name);

    if (strcmp(a->name, "x-delivery-limit") == 0)
        return p->asking_limit && p->limit != a->number;
    if (!can_be_stated(a))
        return false;
    return found == NULL || found->kind != a->kind || found->number != a->number ||
           (a->kind == ARGUMENT_TEXT && strcmp(found->text, a->text) != 0);
}

static amqp_table_entry_t entry_of(const struct queue_probe_argument *a)
{
    const struct argument argument = {a->name, a->kind, a->text, a->number};

    return channel_argument(&argument);
}

int queue_probe_ask(const struct queue_probe *p, struct link *l, uint16_t channel, struct err *err)
{
    amqp_table_entry_t entries[QUEUE_PROBE_ARGUMENTS_MAX + 3];
    amqp_queue_declare_t m = {.queue = amqp_cstring_bytes(p->queue),
                              .durable = !p->transient,
                              .auto_delete = p->auto_delete,
                              .arguments.entries = entries};
    int n = 0;

    for (size_t i = 0; i < p->n_arguments; i++)
        entries[n++] = entry_of(&p->arguments[i]);
    entries[n++] = text_entry("x-queue-type", p->asking_limit ? "quorum" : "none");
    if (p->asking_limit) {
        entries[n++] = text_entry("x-delivery-limit", "none");
        entries[n++] = number_entry("x-max-priority", 1);
    }
    m.arguments.num_entries = n;
    return link_send(l, channel, AMQP_QUEUE_DECLARE_METHOD, &m, err);
}

const struct queue_probe_argument *queue_probe_find(const struct queue_probe *p, const char *name)
{
    for (size_t i = 0; i < p->n_arguments; i++)
        if (strcmp(p->arguments[i].name, name) == 0)
            return &p->arguments[i];
    return NULL;
}

static void copy(char *out, size_t size, struct slice from)
{
    snprintf(out, size, "%.*s", (int)from.len, from.data);
}

/* Where the broker does not say of which kind the value is, it is of the kind that was asked for.
 */
static void take_value(struct queue_probe_argument *a, const struct words_difference *d)
{
    if (d->type.data != NULL)
        a->kind = slice_is(d->type, "longstr") ? ARGUMENT_TEXT
                  : slice_is(d->type, "bool")  ? ARGUMENT_FLAG
                                               : ARGUMENT_INTEGER;
    copy(a->text, sizeof a->text, d->there);
    a->number = a->kind == ARGUMENT_FLAG      ? strcmp(a->text, "true") == 0
                : a->kind == ARGUMENT_INTEGER ? strtoll(a->text, NULL, 10)
                                              : 0;
    a->stated = false;
}

/* An argument that the rule states, and that the queue has not, or has with another value. */
static bool correct(struct queue_probe *p, struct queue_probe_argument *a,
                    const struct words_difference *d)
{
    const size_t at = (size_t)(a - p->arguments);

    if (!a->stated || d->there.len >= sizeof a->text)
        return false;
    if (d->type.data != NULL || !slice_is(d->there, "none")) {
        take_value(a, d);
        return true;
    }
    p->n_arguments--;
    memmove(a, a + 1, (p->n_arguments - at) * sizeof *a);
    return true;
}

/* One that it has. */
static bool learn(struct queue_probe *p, const char *name, const struct words_difference *d)
{
    struct queue_probe_argument *a = &p->arguments[p->n_arguments];

    for (size_t i = 0; i < p->n_arguments; i++)
        if (strcmp(p->arguments[i].name, name) == 0)
            return correct(p, &p->arguments[i], d);
    if (d->type.data == NULL || p->n_arguments == QUEUE_PROBE_ARGUMENTS_MAX ||
        d->there.len >= sizeof a->text)
        return false;
    *a = (struct queue_probe_argument){.number = 0};
    snprintf(a->name, sizeof a->name, "%s", name);
    take_value(a, d);
    p->n_arguments++;
    return true;
}

/* A broker before 4.0 knows no type of a queue that was declared without. */
static bool hear_type(struct queue_probe *p, struct slice there)
{
    copy(p->type, sizeof p->type, slice_is(there, "none") ? slice_of("classic") : there);
    p->asking_limit = slice_is(there, "quorum");
    return p->asking_limit;
}

static bool hear_limit(struct queue_probe *p, struct slice there)
{
    char digits[24];

    copy(digits, sizeof digits, there);
    if (!slice_is(there, "none"))
        p->limit = strtoll(digits, NULL, 10);
    return false;
}

static bool turn_on(bool *what)
{
    const bool before = *what;

    *what = true;
    return !before;
}

bool queue_probe_hear(struct queue_probe *p, const char *text)
{
    struct words_difference d;
    char name[sizeof p->arguments[0].name];

    if (!words_difference(text, &d) || d.argument.len >= sizeof name)
        return false;
    copy(name, sizeof name, d.argument);
    if (strcmp(name, "durable") == 0)
        return turn_on(&p->transient);
    if (strcmp(name, "auto_delete") == 0)
        return turn_on(&p->auto_delete);
    if (strcmp(name, "x-queue-type") == 0)
        return !p->asking_limit && hear_type(p, d.there);
    if (strcmp(name, "x-delivery-limit") == 0 && p->asking_limit)
        return hear_limit(p, d.there);
    return learn(p, name, &d);
}
