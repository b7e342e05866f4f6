/* queue_probe - see queue_probe.h. */
#include "rabbit/queue_probe.h"

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

int queue_probe_ask(const struct queue_probe *p, struct link *l, uint16_t channel, struct err *err)
{
    amqp_table_entry_t entries[QUEUE_PROBE_ARGUMENTS_MAX + 3];
    amqp_queue_declare_t m = {.queue = amqp_cstring_bytes(p->queue),
                              .durable = !p->transient,
                              .auto_delete = p->auto_delete,
                              .arguments.entries = entries};
    int n = 0;

    for (size_t i = 0; i < p->n_arguments; i++) {
        const struct queue_probe_argument *a = &p->arguments[i];

        entries[n++] = a->is_text ? text_entry(a->name, a->text) : number_entry(a->name, a->number);
    }
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

/* One that it has and that was not stated. */
static bool learn(struct queue_probe *p, const char *name, const struct words_difference *d)
{
    struct queue_probe_argument *a = &p->arguments[p->n_arguments];

    if (d->type.data == NULL || p->n_arguments == QUEUE_PROBE_ARGUMENTS_MAX ||
        queue_probe_find(p, name) != NULL || d->there.len >= sizeof a->text)
        return false;
    *a = (struct queue_probe_argument){.is_text = slice_is(d->type, "longstr")};
    snprintf(a->name, sizeof a->name, "%s", name);
    copy(a->text, sizeof a->text, d->there);
    a->number = strtoll(a->text, NULL, 10);
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
