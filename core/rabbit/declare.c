/* declare - see declare.h for the states. Items are asked for in the order in which the rules
 * name them. */
#include "rabbit/declare_int.h"

#include "rabbit/channel.h"
#include "rabbit/explain.h"
#include "rabbit/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RETRY_MS = 40 * 1000, /* 20 to 40 s with jitter: a person has to act, no hurry */
    TEXT_MAX = 900,       /* broker's words and ours in one line */
};

struct declare *declare_new(struct channels *channels, struct log *log, struct clock clock)
{
    struct declare *d = calloc(1, sizeof *d);

    if (d == NULL)
        return NULL;
    d->channels = channels;
    d->link = channels_link(channels);
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

/* An item with a channel of its own is asked for on another connection. */
static void restart(struct declare_item *item)
{
    if (item->asked_on == &item->own || (item->kind == ITEM_LIMIT && item->state == DECLARE_READY))
        return;
    item->asked_on = NULL;
    item->step = STEP_IDLE;
    item->stale = false;
    item->state = item->alone ? DECLARE_UNANSWERED : DECLARE_WAITING;
}

void declare_down(struct declare *d)
{
    declare_channels_down(d);
    for (size_t i = 0; i < d->n_items; i++)
        restart(d->items[i]);
}

void declare_up(struct declare *d)
{
    declare_down(d);
    declare_alone_hasten(d);
    declare_step(d);
}

static void refuse(struct declare *d, struct declare_item *item, const char *why)
{
    item->state = DECLARE_REFUSED;
    item->due_ms = clock_mono(&d->clock) + backoff_next(&d->retry);
    if (declare_item_blame(item, why))
        log_event(d->log, LOG_ERROR, "broker.refused",
                  LOG_FIELDS(log_text("what", declare_item_kind(item)),
                             log_text("name", declare_item_name(item)), log_text("why", why)));
}

/* It is there now: made, or as it was. */
static void note_there(struct declare *d, struct declare_item *item)
{
    if (item->step == STEP_CREATING)
        log_event(
            d->log, LOG_INFO, "broker.declared",
            LOG_FIELDS(log_text("what", declare_item_kind(item)), log_text("name", item->name)));
    item->seen = true;
    if (item->form != QUEUE_AS_IT_IS)
        item->dead_letters = item->form == QUEUE_QUORUM_DEAD_LETTERING;
}

static void note_answered(struct declare *d, struct declare_item *item)
{
    if (item->alone)
        log_event(d->log, LOG_INFO, "broker.answers_again",
                  LOG_FIELDS(log_text("what", declare_item_kind(item)),
                             log_text("name", declare_item_name(item))));
    if (item->alone)
        declare_alone_hasten(d);
    item->alone = false;
    backoff_reset(&item->backoff);
}

static void finish(struct declare *d, struct declare_item *item)
{
    note_answered(d, item);
    item->state = DECLARE_READY;
    reason_drop(&item->why);
    for (size_t i = 0; i < d->n_items; i++) { /* what was refused or absent for its sake */
        struct declare_item *other = d->items[i];

        if (other->exchange == item || other->queue == item)
            other->due_ms = 0;
        if (other->queue == item && other->state == DECLARE_ABSENT)
            declare_item_wait(d, other);
    }
}

void declare_item_release(struct declare *d, struct declare_item *item)
{
    bool stale = item->stale;

    item->asked_on->item = NULL;
    item->asked_on = NULL;
    item->step = STEP_IDLE;
    item->stale = false;
    if (stale)
        declare_item_wait(d, item);
}

static int open_channel(struct declare_channel *dc, struct err *err)
{
    int rc = dc->open ? OK : channel_open(dc->link, dc->channel, err);

    if (rc == OK)
        dc->open = true;
    return rc;
}

/* The form in which a queue is asked for at first; other items have none. */
static enum queue_form form_of(const struct declare_item *item, enum item_step step)
{
    if (step != STEP_CREATING || item->kind == ITEM_EXCHANGE)
        return QUEUE_AS_IT_IS;
    return item->kind == ITEM_DEAD
               ? QUEUE_OF_DEAD
               : ask_queue_form(item->name, item->rule.queue_type, &item->rule.arguments);
}

static int ask(const struct declare_channel *dc, const struct declare_item *item, struct err *err)
{
    if (item->step == STEP_CONSUMING)
        return ask_consumer(dc->link, dc->channel, item->name, err);
    if (item->kind == ITEM_LIMIT || item->step == STEP_PROBING)
        return queue_probe_ask(item->probe, dc->link, dc->channel, err);
    if (item->kind == ITEM_BINDING)
        return (item->queue->kind == ITEM_EXCHANGE ? ask_exchange_binding : ask_binding)(
            dc->link, dc->channel, item->exchange->name, item->queue->name, item->name,
            &item->bound_with, err);
    if (item->kind == ITEM_EXCHANGE)
        return ask_exchange(dc->link, dc->channel, item->name, item->rule.exchange_kind,
                            item->step == STEP_ASKING, err);
    return ask_queue(dc->link, dc->channel, item->name, item->form, &item->rule.arguments, err);
}

static void send_item(struct declare *d, struct declare_item *item, enum item_step step,
                      enum queue_form form)
{
    struct err err = {0};
    int rc = open_channel(item->asked_on, &err);

    item->step = step;
    item->form = form;
    item->absent = item->absent && step != STEP_ASKING;
    if (rc == OK)
        rc = ask(item->asked_on, item, &err);
    if (rc == OK)
        return;
    refuse(d, item, err.text);
    declare_item_release(d, item);
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
        if (ends[i]->state == DECLARE_WAITING || ends[i]->state == DECLARE_UNANSWERED)
            return false;
        if (ends[i]->state == DECLARE_REFUSED) {
            snprintf(why, sizeof why,
                     "%s \"%s\" is not bound to exchange \"%s\": the %s was refused",
                     declare_item_kind(item->queue), item->queue->name, item->exchange->name,
                     declare_item_kind(ends[i]));
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

bool declare_item_may_go(struct declare *d, struct declare_item *item)
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

void declare_item_begin(struct declare *d, struct declare_item *item)
{
    begin_item(d, item, first_step(item));
}

/* Whether it can go on a channel of the link now. */
static bool is_due(struct declare *d, struct declare_item *item, int64_t now)
{
    if (item->asked_on != NULL || item->dropped)
        return false;
    if (item->state == DECLARE_REFUSED && item->due_ms <= now)
        declare_item_wait(d, item);
    return item->state == DECLARE_WAITING && declare_item_may_go(d, item);
}

void declare_step(struct declare *d)
{
    int64_t now = clock_mono(&d->clock);
    struct declare_channel *dc = NULL;

    if (!link_is_up(d->link))
        return;
    declare_channels_step(d, now);
    for (size_t i = 0; i < d->n_items && link_is_up(d->link); i++) {
        if (!is_due(d, d->items[i], now))
            continue;
        dc = declare_channel_for_one(d);
        if (dc == NULL)
            return;
        declare_channel_take(d, dc, d->items[i]);
        declare_item_begin(d, d->items[i]);
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
        .what = declare_item_kind(item),
        .name = declare_item_name(item),
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
    note_answered(d, item);
    item->state = DECLARE_ABSENT;
    reason_drop(&item->why);
    declare_item_release(d, item);
}

/* Of a queue that others make, any answer is all that was wanted. */
static void find_target(struct declare *d, struct declare_item *item)
{
    note_there(d, item);
    finish(d, item);
    declare_item_release(d, item);
}

/* The queue is not to be had with a dead-letter queue: it has none, or another. */
static void declare_plain(struct declare *d, struct declare_item *item, const char *why)
{
    log_event(d->log, LOG_WARN, "broker.no_dead_letter_queue",
              LOG_FIELDS(log_text("queue", item->name), log_text("why", why)));
    send_item(d, item, STEP_CREATING, QUEUE_QUORUM_PLAIN);
}

/* Every refusal tells something of the queue, until none tells more. */
static void go_on_probing(struct declare *d, struct declare_item *item, const char *text)
{
    if (queue_probe_hear(item->probe, text)) {
        begin_item(d, item, STEP_ASKING);
        return;
    }
    finish(d, item);
    declare_item_release(d, item);
}

/* It is there with other arguments than its rule says. An existing queue keeps its arguments; but
 * it must have the type that its rule says, and the broker compares that last. */
static bool differs_in_arguments(const struct declare_item *item, const char *text)
{
    struct words_difference d;

    return item->kind == ITEM_QUEUE && item->step == STEP_CREATING && item->rule.arguments.n > 0 &&
           words_difference(text, &d) && !slice_is(d.argument, "x-queue-type");
}

static void begin_probing(struct declare *d, struct declare_item *item, const char *text)
{
    log_event(d->log, LOG_WARN, "broker.other_arguments",
              LOG_FIELDS(log_text("queue", item->name), log_text("why", text)));
    if (declare_item_probe(item) == OK) {
        begin_item(d, item, STEP_PROBING);
        return;
    }
    refuse(d, item, "out of memory");
    declare_item_release(d, item);
}

/* One whose type is not known is not that of another type. */
static void end_probing(struct declare *d, struct declare_item *item)
{
    const char *stated = explain_queue_type(item->rule.queue_type), *type = item->probe->type;
    char why[TEXT_MAX];

    snprintf(
        why, sizeof why,
        "queue \"%s\" exists with type = %s, but queue_type = \"%s\" at %s asks for another; "
        "leave queue_type out of the subscription, or delete the queue so that it is made anew",
        item->name, type, stated, item->rule.origin != NULL ? item->rule.origin : "");
    if (stated[0] != '\0' && type[0] != '\0' && strcmp(type, stated) != 0)
        refuse(d, item, why);
    else
        finish(d, item);
    declare_item_release(d, item);
}

static void go_on_probing_queue(struct declare *d, struct declare_item *item, const char *text)
{
    if (words_of(text) != WORDS_DIFFERENT)
        begin_item(d, item, STEP_ASKING); /* it went meanwhile */
    else if (queue_probe_hear(item->probe, text))
        begin_item(d, item, STEP_PROBING);
    else
        end_probing(d, item);
}

/* A no that leads on: what is absent is created, what is there is taken as it is. */
static bool try_otherwise(struct declare *d, struct declare_item *item,
                          const amqp_channel_close_t *close)
{
    const bool asking = item->step == STEP_ASKING;
    char text[TEXT_MAX / 2];
    const enum words meaning = words_of(channel_why(close, text, sizeof text));
    /* A 404 in unknown words probably means that it is absent. To make what is there does no harm;
     * for a queue on a node that is down it is only one more wait. */
    const bool absent = asking && close->reply_code == AMQP_NOT_FOUND && meaning != WORDS_NODE_DOWN;

    item->absent = item->absent || (asking && meaning == WORDS_ABSENT);
    if (item->kind == ITEM_LIMIT)
        go_on_probing(d, item, text);
    else if (item->step == STEP_PROBING)
        go_on_probing_queue(d, item, text);
    else if (asking && item->kind == ITEM_TARGET)
        find_target(d, item);
    else if (absent && item->kind == ITEM_DEAD && !item->seen && !item->queue->dead_letters)
        find_absent(d, item);
    else if (absent)
        begin_item(d, item, STEP_CREATING);
    else if (item->form == QUEUE_QUORUM_DEAD_LETTERING && explain_is_of_dead_letters(text))
        declare_plain(d, item, text);
    else if (differs_in_arguments(item, text))
        begin_probing(d, item, text);
    else if (item->form == QUEUE_OF_DEAD && close->reply_code == AMQP_PRECONDITION_FAILED)
        begin_item(d, item, STEP_ASKING); /* somebody made it meanwhile, otherwise */
    else
        return false;
    return true;
}

static void on_close(struct declare *d, struct declare_channel *dc,
                     const amqp_channel_close_t *close)
{
    struct declare_item *item = dc->item;
    struct err err = {0};

    dc->open = false;
    /* A link that cannot take this is going down and takes everything up again. */
    if (channel_close_ok(dc->link, dc->channel, &err) != OK || item == NULL)
        return;
    if (item->dropped || !try_otherwise(d, item, close)) {
        if (!item->dropped)
            on_refused(d, item, close);
        declare_item_release(d, item);
    }
}

/* A queue that went unanswered must show that it can be consumed. */
static bool must_consume(const struct declare_item *item)
{
    return item->asked_on == &item->own && item->step != STEP_CONSUMING &&
           (item->kind == ITEM_QUEUE || item->kind == ITEM_DEAD);
}

static void on_ok(struct declare *d, struct declare_item *item)
{
    if (item->step != STEP_CONSUMING)
        note_there(d, item);
    if (must_consume(item)) {
        send_item(d, item, STEP_CONSUMING, item->form);
        return;
    }
    finish(d, item);
    declare_item_release(d, item);
}

static void on_queue_ok(struct declare *d, struct declare_item *item,
                        const amqp_queue_declare_ok_t *ok)
{
    if (ok->consumer_count == 0)
        item->deserted++;
    on_ok(d, item);
}

static void on_answer(struct declare *d, struct declare_item *item, const amqp_method_t *method)
{
    struct err err = {0};

    switch (method->id) {
    case AMQP_QUEUE_DECLARE_OK_METHOD:
        on_queue_ok(d, item, method->decoded);
        break;
    case AMQP_BASIC_CONSUME_OK_METHOD:
        (void)ask_no_more(item->asked_on->link, item->asked_on->channel,
                          &err); /* or it is going down */
        break;
    case AMQP_EXCHANGE_DECLARE_OK_METHOD:
    case AMQP_QUEUE_BIND_OK_METHOD:
    case AMQP_EXCHANGE_BIND_OK_METHOD:
    case AMQP_BASIC_CANCEL_OK_METHOD:
        on_ok(d, item);
        break;
    default: /* open-ok and qos-ok need no answer; nothing else is asked for here */
        break;
    }
}

static void hear(struct declare *d, struct declare_channel *dc, const amqp_method_t *method)
{
    if (method->id == AMQP_CHANNEL_CLOSE_METHOD)
        on_close(d, dc, method->decoded);
    else if (dc->item != NULL)
        on_answer(d, dc->item, method);
}

void declare_method(struct declare *d, uint16_t channel, const amqp_method_t *method)
{
    struct declare_channel *dc = channels_owner(d->channels, CHANNELS_OF_DECLARE, channel);

    if (dc != NULL)
        hear(d, dc, method);
    declare_step(d);
}

void declare_item_answer(struct declare *d, struct declare_item *item, const amqp_method_t *method)
{
    hear(d, &item->own, method);
    declare_step(d);
}
