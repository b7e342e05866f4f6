/* declare_alone - see declare.h. What a broker has left without an answer is asked for on a
 * connection of its own, since a broker may end that over it. */
#include "rabbit/declare_int.h"

#include "rabbit/channel.h"

#include <stdio.h>

void declare_item_miss(struct declare *d, struct declare_item *item, const char *why)
{
    if (item->asked_on != NULL)
        declare_item_release(d, item);
    item->alone = d->any_alone = true;
    item->state = DECLARE_UNANSWERED;
    item->due_ms = clock_mono(&d->clock) + backoff_next(&item->backoff);
    if (declare_item_blame(item, why) && !item->dropped)
        log_event(d->log, LOG_WARN, "broker.unanswered",
                  LOG_FIELDS(log_text("what", declare_item_kind(item)),
                             log_text("name", declare_item_name(item)), log_text("why", why)));
}

void declare_unanswered(struct declare *d, struct declare_item *queue, const char *why)
{
    if (queue->asked_on == NULL)
        declare_item_miss(d, queue, why);
}

static amqp_method_number_t method_of(const struct declare_item *item)
{
    if (item->kind == ITEM_BINDING)
        return item->queue->kind == ITEM_EXCHANGE ? AMQP_EXCHANGE_BIND_METHOD
                                                  : AMQP_QUEUE_BIND_METHOD;
    return item->kind == ITEM_EXCHANGE ? AMQP_EXCHANGE_DECLARE_METHOD : AMQP_QUEUE_DECLARE_METHOD;
}

static bool is_asked(const struct declare_channel *dc, amqp_method_number_t method)
{
    return dc->item != NULL && method_of(dc->item) == method;
}

/* Brokers take their time for it: where answers are late, it is one of these. */
void declare_blame(struct declare *d, amqp_method_number_t method, const char *why)
{
    const int64_t now = clock_mono(&d->clock);
    bool late = false;

    for (size_t i = 0; i < DECLARE_CHANNELS_MAX; i++)
        late = late || (is_asked(&d->declaring[i], method) &&
                        declare_channel_is_late(&d->declaring[i], now));
    for (size_t i = 0; i < DECLARE_CHANNELS_MAX; i++)
        if (is_asked(&d->declaring[i], method) &&
            late == declare_channel_is_late(&d->declaring[i], now))
            declare_item_miss(d, d->declaring[i].item, why);
}

void declare_alone_hasten(struct declare *d)
{
    for (size_t i = 0; i < d->n_items; i++)
        if (d->items[i]->alone)
            d->items[i]->due_ms = 0;
}

static bool is_alone(const struct declare_item *item)
{
    return item->state == DECLARE_UNANSWERED && item->asked_on == NULL && !item->dropped;
}

struct declare_item *declare_alone(struct declare *d)
{
    const int64_t now = clock_mono(&d->clock);
    bool any = false;

    if (!d->any_alone || !link_is_up(d->link))
        return NULL;
    for (size_t i = 0; i < d->n_items; i++) {
        struct declare_item *item = d->items[i];

        any = any || item->alone;
        if (!is_alone(item) || item->due_ms > now || !declare_item_may_go(d, item))
            continue;
        item->own = (struct declare_channel){.link = NULL};
        declare_channel_take(d, &item->own, item);
        return item;
    }
    d->any_alone = any;
    return NULL;
}

int64_t declare_alone_due(const struct declare *d)
{
    int64_t due = INT64_MAX;

    for (size_t i = 0; d->any_alone && i < d->n_items && link_is_up(d->link); i++)
        if (is_alone(d->items[i]) && d->items[i]->due_ms < due)
            due = d->items[i]->due_ms;
    return due;
}

bool declare_alone_is_done(const struct declare_item *item)
{
    return item->asked_on != &item->own;
}

void declare_alone_up(struct declare *d, struct declare_item *item, struct link *link)
{
    if (declare_alone_is_done(item))
        return;
    item->own.link = link;
    item->own.channel = CHANNEL_DECLARE;
    declare_item_begin(d, item);
}

void declare_alone_method(struct declare *d, struct declare_item *item, const amqp_method_t *m)
{
    if (!declare_alone_is_done(item))
        declare_item_answer(d, item, m);
}

void declare_alone_content(struct declare *d, struct declare_item *item,
                           const struct codec_content *content)
{
    const amqp_basic_deliver_t *deliver = content->method->decoded;
    struct err err = {0};

    (void)d;
    if (declare_alone_is_done(item) || content->method->id != AMQP_BASIC_DELIVER_METHOD)
        return;
    /* Or it is going down, which gives it back as well. */
    (void)ask_back(item->own.link, item->own.channel, deliver->delivery_tag, &err);
}

void declare_alone_down(struct declare *d, struct declare_item *item, const char *why)
{
    if (!declare_alone_is_done(item))
        declare_item_miss(d, item, why);
}
