/* declare - see declare.h for the states. One item is under way at a time, in the
 * order in which they were asked for. */
#include "broker/declare_int.h"

#include "broker/channel.h"
#include "broker/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RETRY_MS = 40 * 1000, /* 20 to 40 s with jitter: a person has to act, no hurry */
    TEXT_MAX = 900,       /* broker's words and ours in one line */
};

struct declare *declare_new(struct link *link, struct log *log, struct clock clock)
{
    struct declare *d = calloc(1, sizeof *d);

    if (d == NULL)
        return NULL;
    d->link = link;
    d->log = log;
    d->clock = clock;
    backoff_init(&d->retry, RETRY_MS, RETRY_MS, (uint64_t)clock_wall(&clock));
    return d;
}

void declare_free(struct declare **d)
{
    if (*d == NULL)
        return;
    for (size_t i = 0; i < (*d)->n_items; i++)
        declare_item_free(&(*d)->items[i]);
    free((*d)->items);
    free(*d);
    *d = NULL;
}

static const char *kind_word(const struct declare_item *item)
{
    static const char *const words[] = {"exchange", "queue", "binding", "queue",
                                        "dead-letter queue"};

    return words[item->kind];
}

/* A binding is known to people by its queue. */
static const char *shown_name(const struct declare_item *item)
{
    return item->kind == ITEM_BINDING ? item->queue->name : item->name;
}

void declare_again(struct declare *d, struct declare_item *item)
{
    declare_item_wait(d, item);
    for (size_t i = 0; i < d->n_items; i++)
        if (d->items[i]->exchange == item || d->items[i]->queue == item)
            declare_item_wait(d, d->items[i]);
}

void declare_exchange_again(struct declare *d, const char *exchange)
{
    for (size_t i = 0; i < d->n_items; i++)
        if (d->items[i]->kind == ITEM_EXCHANGE && strcmp(d->items[i]->name, exchange) == 0)
            declare_again(d, d->items[i]);
}

void declare_down(struct declare *d)
{
    d->channel_open = false;
    d->current = NULL;
    for (size_t i = 0; i < d->n_items; i++) {
        d->items[i]->state = DECLARE_WAITING;
        d->items[i]->step = STEP_IDLE;
        d->items[i]->stale = false;
    }
}

void declare_up(struct declare *d)
{
    declare_down(d);
    declare_step(d);
}

static void refuse(struct declare *d, struct declare_item *item, const char *why)
{
    struct reason *before = item->why;
    struct reason *now = reason_share(before);

    item->why = reason_take(&now, why);
    item->state = DECLARE_REFUSED;
    item->due_ms = clock_mono(&d->clock) + backoff_next(&d->retry);
    if (item->why != before || before == NULL)
        log_event(d->log, LOG_ERROR, "broker.refused",
                  LOG_FIELDS(log_text("what", kind_word(item)), log_text("name", shown_name(item)),
                             log_text("why", why)));
    reason_drop(&now);
    reason_drop(&before);
}

static void finish(struct declare *d, struct declare_item *item)
{
    if (item->step == STEP_CREATING)
        log_event(d->log, LOG_INFO, "broker.declared",
                  LOG_FIELDS(log_text("what", kind_word(item)), log_text("name", item->name)));
    item->state = DECLARE_READY;
    item->seen = true;
    if (item->form != QUEUE_AS_IT_IS)
        item->guarded = item->form == QUEUE_QUORUM_GUARDED;
    reason_drop(&item->why);
    for (size_t i = 0; i < d->n_items; i++) { /* what was refused or absent for its sake */
        struct declare_item *other = d->items[i];

        if (other->exchange == item || other->queue == item)
            other->due_ms = 0;
        if (other->queue == item && other->state == DECLARE_ABSENT)
            declare_item_wait(d, other);
    }
}

/* Nothing is under way any more. */
static void release(struct declare *d)
{
    struct declare_item *item = d->current;

    d->current = NULL;
    item->step = STEP_IDLE;
    if (item->stale)
        item->state = DECLARE_WAITING;
    item->stale = false;
}

static int open_channel(struct declare *d, struct err *err)
{
    int rc = d->channel_open ? OK : channel_open(d->link, CHANNEL_DECLARE, err);

    if (rc == OK)
        d->channel_open = true;
    return rc;
}

/* What a queue is asked for at first; of no meaning for the others. */
static enum queue_form form_of(const struct declare_item *item, enum item_step step)
{
    if (step != STEP_CREATING || item->kind == ITEM_EXCHANGE)
        return QUEUE_AS_IT_IS;
    return item->kind == ITEM_DEAD ? QUEUE_OF_DEAD
                                   : ask_queue_form(item->name, item->rule.queue_type);
}

static void send_item(struct declare *d, struct declare_item *item, enum item_step step,
                      enum queue_form form)
{
    const bool asking = step == STEP_ASKING;
    struct err err = {0};
    int rc = open_channel(d, &err);

    item->step = step;
    item->form = form;
    item->absent = item->absent && !asking;
    d->current = item;
    if (rc == OK && item->kind == ITEM_EXCHANGE)
        rc = ask_exchange(d->link, item->name, item->rule.exchange_kind, asking, &err);
    else if (rc == OK && item->kind != ITEM_BINDING)
        rc = ask_queue(d->link, item->name, form, &err);
    else if (rc == OK)
        rc = ask_binding(d->link, item->exchange->name, item->queue->name, item->name, &err);
    if (rc == OK)
        return;
    refuse(d, item, err.text);
    release(d);
}

static void begin_item(struct declare *d, struct declare_item *item, enum item_step step)
{
    send_item(d, item, step, form_of(item, step));
}

/* A binding waits for both its ends. Returns true when it may go. */
static bool ends_ready(struct declare *d, struct declare_item *item)
{
    const struct declare_item *ends[] = {item->exchange, item->queue};
    char why[TEXT_MAX];

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (ends[i]->state == DECLARE_WAITING)
            return false;
        if (ends[i]->state == DECLARE_REFUSED) {
            snprintf(why, sizeof why,
                     "queue \"%s\" is not bound to exchange \"%s\": the %s was refused",
                     item->queue->name, item->exchange->name, kind_word(ends[i]));
            refuse(d, item, why);
            return false;
        }
    }
    return true;
}

/* Whether a dead-letter queue may be asked for: its queue comes first. */
static bool is_due_dead(struct declare_item *item)
{
    if (item->queue->state == DECLARE_REFUSED)
        item->state = DECLARE_ABSENT; /* until its queue is there */
    return item->queue->state == DECLARE_READY;
}

static bool may_go(struct declare *d, struct declare_item *item)
{
    if (item->kind == ITEM_DEAD)
        return is_due_dead(item);
    return item->kind != ITEM_BINDING || ends_ready(d, item);
}

static enum item_step first_step(const struct declare_item *item)
{
    if (item->kind == ITEM_BINDING)
        return STEP_BINDING;
    return item->kind == ITEM_QUEUE && item->rule.queue_type != QUEUE_ANY ? STEP_CREATING
                                                                          : STEP_ASKING;
}

void declare_step(struct declare *d)
{
    int64_t now = clock_mono(&d->clock);

    for (size_t i = 0; i < d->n_items && link_is_up(d->link) && d->current == NULL; i++) {
        struct declare_item *item = d->items[i];

        if (declare_state(item) == DECLARE_REFUSED && item->due_ms <= now)
            item->state = DECLARE_WAITING;
        if (declare_state(item) != DECLARE_WAITING)
            continue;
        if (may_go(d, item))
            begin_item(d, item, first_step(item));
    }
}

static void on_refused(struct declare *d, struct declare_item *item,
                       const amqp_channel_close_t *close)
{
    char text[TEXT_MAX / 2];
    char why[TEXT_MAX];
    struct refusal refusal = {
        .code = close->reply_code,
        .text = channel_why(close, text, sizeof text),
        .what = kind_word(item),
        .name = shown_name(item),
        .origin = item->rule.origin,
        .queue_type = item->rule.queue_type,
    };

    refuse(d, item, explain_refusal(&refusal, why, sizeof why));
    if (item->kind == ITEM_BINDING && close->reply_code == AMQP_NOT_FOUND) {
        declare_item_wait(d, item->exchange);
        declare_item_wait(d, item->queue);
    }
}

/* There is none, and its queue does not ask for one. */
static void find_absent(struct declare *d, struct declare_item *item)
{
    item->state = DECLARE_ABSENT;
    reason_drop(&item->why);
    release(d);
}

/* Of a queue that others make, any answer is all that was wanted. */
static void find_target(struct declare *d, struct declare_item *item)
{
    finish(d, item);
    release(d);
}

/* The queue is not to be had with a dead-letter queue: it has none, or another. */
static void declare_plain(struct declare *d, struct declare_item *item, const char *why)
{
    log_event(d->log, LOG_WARN, "broker.no_dead_letter_queue",
              LOG_FIELDS(log_text("queue", item->name), log_text("why", why)));
    send_item(d, item, STEP_CREATING, QUEUE_QUORUM_PLAIN);
}

/* A no that leads on: what is absent is created, what is there is taken as it is. */
static bool try_otherwise(struct declare *d, struct declare_item *item,
                          const amqp_channel_close_t *close)
{
    const bool asking = item->step == STEP_ASKING;
    const bool absent = asking && close->reply_code == AMQP_NOT_FOUND;
    char text[TEXT_MAX / 2];

    channel_why(close, text, sizeof text);
    item->absent = item->absent || (asking && explain_is_absent(close->reply_code, text));
    if (asking && item->kind == ITEM_TARGET)
        find_target(d, item);
    else if (absent && item->kind == ITEM_DEAD && !item->seen && !item->queue->guarded)
        find_absent(d, item);
    else if (absent)
        begin_item(d, item, STEP_CREATING);
    else if (item->form == QUEUE_QUORUM_GUARDED && explain_is_of_dead_letters(text))
        declare_plain(d, item, text);
    else if (item->form == QUEUE_OF_DEAD && close->reply_code == AMQP_PRECONDITION_FAILED)
        begin_item(d, item, STEP_ASKING); /* somebody made it meanwhile, otherwise */
    else
        return false;
    return true;
}

static void on_close(struct declare *d, const amqp_channel_close_t *close)
{
    struct declare_item *item = d->current;
    struct err err = {0};

    d->channel_open = false;
    /* A link that cannot take this is going down and takes everything up again. */
    if (channel_close_ok(d->link, CHANNEL_DECLARE, &err) != OK || item == NULL)
        return;
    if (item->dropped || !try_otherwise(d, item, close)) {
        if (!item->dropped)
            on_refused(d, item, close);
        release(d);
    }
}

static void on_ok(struct declare *d)
{
    if (d->current == NULL)
        return;
    finish(d, d->current);
    release(d);
}

static void count_consumers(struct declare *d, const amqp_queue_declare_ok_t *ok)
{
    if (d->current != NULL && ok->consumer_count == 0)
        d->current->deserted++;
}

void declare_method(struct declare *d, const amqp_method_t *method)
{
    switch (method->id) {
    case AMQP_QUEUE_DECLARE_OK_METHOD:
        count_consumers(d, method->decoded);
        on_ok(d);
        break;
    case AMQP_EXCHANGE_DECLARE_OK_METHOD:
    case AMQP_QUEUE_BIND_OK_METHOD:
        on_ok(d);
        break;
    case AMQP_CHANNEL_CLOSE_METHOD:
        on_close(d, method->decoded);
        break;
    default: /* open-ok needs no answer; nothing else is asked for here */
        break;
    }
    declare_step(d);
}

int64_t declare_due(const struct declare *d)
{
    int64_t due = INT64_MAX;

    for (size_t i = 0; i < d->n_items; i++)
        if (declare_state(d->items[i]) == DECLARE_REFUSED && d->items[i]->due_ms < due)
            due = d->items[i]->due_ms;
    return due;
}

bool declare_is_settled(const struct declare *d)
{
    for (size_t i = 0; i < d->n_items; i++)
        if (declare_state(d->items[i]) == DECLARE_WAITING)
            return false;
    return true;
}

const char *declare_refused(const struct declare *d)
{
    for (size_t i = 0; i < d->n_items; i++)
        if (d->items[i]->planned && d->items[i]->kind != ITEM_DEAD &&
            declare_state(d->items[i]) == DECLARE_REFUSED)
            return declare_why(d->items[i]);
    return NULL;
}
