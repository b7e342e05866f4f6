/* declare_items - see declare_int.h. An item lives as long as its declare: one that no
 * plan names is dropped, and taken up again when it is asked for. */
#include "rabbit/declare_int.h"

#include "rabbit/dead_letter_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Between two connections of its own for an item that goes unanswered. */
enum { BACKOFF_MIN_MS = 2 * 1000, BACKOFF_MAX_MS = 60 * 1000 };

static void rule_clear(struct item_rule *rule)
{
    free(rule->origin);
    arguments_free(&rule->arguments);
    *rule = (struct item_rule){.origin = NULL};
}

void declare_item_free(struct declare_item **item)
{
    if (*item == NULL)
        return;
    free((*item)->name);
    rule_clear(&(*item)->rule);
    rule_clear(&(*item)->next);
    arguments_free(&(*item)->bound_with);
    free((*item)->probe);
    reason_drop(&(*item)->why);
    free(*item);
    *item = NULL;
}

void declare_item_wait(struct declare *d, struct declare_item *item)
{
    if (item->asked_on != NULL) {
        item->stale = true;
    } else if (item->alone) {
        item->state = DECLARE_UNANSWERED;
        item->due_ms = clock_mono(&d->clock);
    } else {
        item->state = DECLARE_WAITING;
    }
}

const char *declare_item_kind(const struct declare_item *item)
{
    static const char *const words[] = {
        "exchange", "queue", "binding", "queue", "dead-letter queue", "delivery limit of queue"};

    return words[item->kind];
}

const char *declare_item_name(const struct declare_item *item)
{
    return item->kind == ITEM_BINDING ? item->queue->name : item->name;
}

bool declare_item_blame(struct declare_item *item, const char *why)
{
    struct reason *before = item->why;
    struct reason *now = reason_share(before);
    bool other;

    item->why = reason_take(&now, why);
    other = item->why != before || before == NULL;
    reason_drop(&now);
    reason_drop(&before);
    return other;
}

static struct declare_item *find(const struct declare *d, const struct declare_item *like)
{
    for (size_t i = 0; i < d->n_items; i++) {
        struct declare_item *item = d->items[i];

        if (item->kind == like->kind && item->exchange == like->exchange &&
            item->queue == like->queue && strcmp(item->name, like->name) == 0 &&
            arguments_same(&item->bound_with, &like->bound_with))
            return item;
    }
    return NULL;
}

static int copy_rule(const struct item_rule *from, struct item_rule *to)
{
    struct item_rule copy = *from;

    copy.origin = from->origin != NULL ? strdup(from->origin) : NULL;
    if ((from->origin != NULL && copy.origin == NULL) ||
        arguments_copy(&from->arguments, &copy.arguments) != OK) {
        free(copy.origin);
        return ERR_NOMEM;
    }
    rule_clear(to);
    *to = copy;
    return OK;
}

/* `like` lends its strings. */
static struct declare_item *item_new(const struct declare_item *like)
{
    struct declare_item *item = malloc(sizeof *item);

    if (item == NULL)
        return NULL;
    *item = *like;
    item->rule = (struct item_rule){.origin = NULL};
    item->bound_with = (struct arguments){.n = 0};
    item->name = strdup(like->name);
    if (item->name == NULL || copy_rule(&like->rule, &item->rule) != OK ||
        arguments_copy(&like->bound_with, &item->bound_with) != OK)
        declare_item_free(&item);
    return item;
}

static struct declare_item *add(struct declare *d, const struct declare_item *like)
{
    struct declare_item **items = realloc(d->items, (d->n_items + 1) * sizeof(*items));
    struct declare_item *item;

    if (items == NULL)
        return NULL;
    d->items = items;
    item = item_new(like);
    if (item == NULL)
        return NULL;
    /* An item that was dropped waits so until something asks for it. */
    item->dropped = true;
    item->planned = false;
    backoff_init(&item->backoff, BACKOFF_MIN_MS, BACKOFF_MAX_MS,
                 (uint64_t)clock_wall(&d->clock) + d->n_items);
    d->items[d->n_items++] = item;
    return item;
}

/* Finds the item that is like this one, or adds it. */
static struct declare_item *take(struct declare *d, const struct declare_item *like)
{
    struct declare_item *item = find(d, like);

    if (item == NULL)
        item = add(d, like);
    if (item == NULL)
        return NULL;
    if (like->planned && d->planning && !item->named) {
        if (copy_rule(&like->rule, &item->next) != OK)
            return NULL;
        item->named = true;
    }
    item->planned = item->planned || (like->planned && !d->planning);
    if (item->dropped) {
        item->dropped = false;
        item->fresh = d->planning;
        declare_item_wait(d, item);
    }
    return item;
}

struct declare_item *declare_exchange(struct declare *d, const struct destination *to, bool planned)
{
    const struct declare_item like = {.kind = ITEM_EXCHANGE,
                                      .name = (char *)(uintptr_t)to->exchange,
                                      .rule = {.exchange_kind = to->kind},
                                      .planned = planned};

    REQUIRE(to->kind != EXCHANGE_DEFAULT);
    return take(d, &like);
}

void declare_forget_exchange(struct declare *d, const char *exchange)
{
    for (size_t i = 0; i < d->n_items; i++) {
        struct declare_item *item = d->items[i];

        if (item->kind != ITEM_EXCHANGE || item->planned || item->named || item->asked_on != NULL ||
            strcmp(item->name, exchange) != 0)
            continue;
        declare_item_free(&item);
        d->n_items--;
        memmove(&d->items[i], &d->items[i + 1], (d->n_items - i) * sizeof(*d->items));
        return;
    }
}

struct declare_item *declare_queue(struct declare *d, const struct subscription *s)
{
    const struct declare_item like = {
        .kind = ITEM_QUEUE,
        .name = (char *)(uintptr_t)s->queue,
        .rule = {.origin = (char *)(uintptr_t)s->origin,
                 .queue_type = s->queue_type,
                 .arguments = s->arguments},
        .planned = true,
    };

    return take(d, &like);
}

struct declare_item *declare_binding(struct declare *d, struct declare_item *exchange,
                                     struct declare_item *queue, const char *routing_key,
                                     const struct arguments *a)
{
    struct declare_item like = {.kind = ITEM_BINDING,
                                .exchange = exchange,
                                .queue = queue,
                                .bound_with = *a,
                                .planned = true};
    struct declare_item *item;

    like.name = strdup(routing_key);
    if (like.name == NULL)
        return NULL;
    item = take(d, &like);
    free(like.name);
    return item;
}

struct declare_item *declare_target(struct declare *d, const char *queue)
{
    const struct declare_item like = {
        .kind = ITEM_TARGET, .name = (char *)(uintptr_t)queue, .planned = true};

    return take(d, &like);
}

struct declare_item *declare_limit(struct declare *d, const char *queue)
{
    const struct declare_item like = {.kind = ITEM_LIMIT, .name = (char *)(uintptr_t)queue};
    struct declare_item *item = take(d, &like);

    if (item == NULL || item->probe != NULL)
        return item;
    if (declare_item_probe(item) != OK) {
        item->dropped = true;
        return NULL;
    }
    return item;
}

int declare_item_probe(struct declare_item *item)
{
    if (item->probe == NULL)
        item->probe = malloc(sizeof *item->probe);
    if (item->probe == NULL)
        return ERR_NOMEM;
    queue_probe_begin(item->probe, item->name);
    return OK;
}

int64_t declare_limit_found(const struct declare_item *limit)
{
    return limit->probe->limit;
}

bool declare_was_absent(const struct declare_item *item)
{
    return item->absent;
}

struct declare_item *declare_dead_queue(struct declare *d, struct declare_item *queue,
                                        const char *name)
{
    char copy[DEAD_LETTER_QUEUE_NAME_MAX];
    const struct declare_item like = {
        .kind = ITEM_DEAD, .queue = queue, .name = copy, .planned = true};

    snprintf(copy, sizeof copy, "%s", name);
    return take(d, &like);
}

/* Exchanges to exchanges. */
static int declare_sources(struct declare *d, const struct subscription *s)
{
    const struct arguments none = {.n = 0};

    for (size_t i = 0; i < s->n_sources; i++) {
        const struct arguments *a = s->source_arguments != NULL ? &s->source_arguments[i] : &none;
        struct declare_item *source = declare_exchange(d, &s->sources[i], true);
        struct declare_item *target = declare_exchange(d, &s->targets[i], true);

        if (source == NULL || target == NULL ||
            declare_binding(d, source, target, s->sources[i].routing_key, a) == NULL)
            return ERR_NOMEM;
    }
    return OK;
}

int declare_bindings(struct declare *d, struct declare_item *queue, const struct subscription *s)
{
    const struct arguments none = {.n = 0};

    for (size_t i = 0; i < s->n_from; i++) {
        const struct arguments *a = s->from_arguments != NULL ? &s->from_arguments[i] : &none;
        struct declare_item *exchange;

        if (s->from[i].kind == EXCHANGE_DEFAULT)
            continue; /* every queue is bound to it by its name */
        exchange = declare_exchange(d, &s->from[i], true);
        if (exchange == NULL ||
            declare_binding(d, exchange, queue, s->from[i].routing_key, a) == NULL)
            return ERR_NOMEM;
    }
    return declare_sources(d, s);
}

enum declare_state declare_state(const struct declare_item *item)
{
    return item->dropped ? DECLARE_DROPPED : item->state;
}

unsigned declare_deserted(const struct declare_item *queue)
{
    return queue->deserted;
}

const char *declare_why(const struct declare_item *item)
{
    const enum declare_state state = declare_state(item);

    return state == DECLARE_REFUSED || state == DECLARE_UNANSWERED ? reason_text(item->why) : "";
}

void declare_plan(struct declare *d)
{
    REQUIRE(!d->planning);
    d->planning = true;
}

static void end_plan(struct declare *d)
{
    for (size_t i = 0; i < d->n_items; i++) {
        struct declare_item *item = d->items[i];

        rule_clear(&item->next);
        item->named = item->fresh = false;
    }
    d->planning = false;
}

/* When its queue goes as well, whoever consumed it says so. */
static void leave(struct declare *d, struct declare_item *item)
{
    item->planned = false;
    item->dropped = true;
    reason_drop(&item->why);
    if (item->kind == ITEM_BINDING && item->queue->named)
        log_event(d->log, LOG_INFO, "broker.binding_left",
                  LOG_FIELDS(log_text(declare_item_kind(item->queue), item->queue->name),
                             log_text("from", item->exchange->name),
                             log_text("routing_key", item->name)));
}

/* The rule of the plan takes the place of the former. What was refused is asked for at
 * once: somebody has just changed something. */
static void renew(struct declare *d, struct declare_item *item)
{
    const bool other_type = item->rule.queue_type != item->next.queue_type;

    rule_clear(&item->rule);
    item->rule = item->next;
    item->next = (struct item_rule){.origin = NULL};
    item->planned = true;
    item->absent = false; /* others may have bound to what was made for an earlier plan */
    if (item->kind == ITEM_TARGET)
        declare_item_wait(d, item);
    if (item->state == DECLARE_REFUSED || item->state == DECLARE_UNANSWERED)
        item->due_ms = 0;
    if (other_type)
        declare_again(d, item);
}

bool declare_adopt(struct declare *d)
{
    bool fresh = false;

    REQUIRE(d->planning);
    for (size_t i = 0; i < d->n_items; i++) {
        struct declare_item *item = d->items[i];

        fresh = fresh || item->fresh;
        if (item->named)
            renew(d, item);
        else if (item->planned)
            leave(d, item);
    }
    end_plan(d);
    return fresh;
}

void declare_abandon(struct declare *d)
{
    REQUIRE(d->planning);
    for (size_t i = 0; i < d->n_items; i++)
        d->items[i]->dropped = d->items[i]->dropped || d->items[i]->fresh;
    end_plan(d);
}
