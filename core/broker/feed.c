/* feed - see feed.h for the states. */
#include "broker/feed.h"

#include "broker/backoff.h"
#include "broker/channel.h"
#include "broker/reason.h"

#include <stdio.h>
#include <stdlib.h>

/* Shown in the broker's lists; a channel has one consumer, so the name need not differ. */
#define CONSUMER_TAG "herald"

enum { TEXT_MAX = 400 };

enum feed_state {
    FEED_DOWN,
    FEED_DECLARING,
    FEED_OPENING,
    FEED_CONSUMING,
    FEED_CLOSING,
    FEED_RESTING,
};

struct feed {
    struct feed_context *context;            /* lent */
    const struct subscription *subscription; /* lent */
    enum feed_state state;
    uint16_t channel;           /* its number, for ever */
    struct declare_item *queue; /* its declaration */
    uint64_t epoch;             /* of this life of the channel */
    struct held *first;         /* unacked ones in order of tag; owned */
    struct held *last;
    size_t unacked;         /* how many of them */
    bool draining;          /* no further deliveries */
    int64_t due_ms;         /* RESTING: end of it; OPENING, CLOSING: answer is due */
    int64_t since_ms;       /* CONSUMING: since when */
    struct backoff backoff; /* how long to rest */
    struct reason *why;     /* last trouble */
};

static int ask_bindings(struct feed *f)
{
    const struct subscription *s = f->subscription;

    for (size_t i = 0; i < s->n_from; i++) {
        struct declare_item *exchange;

        if (s->from[i].kind == EXCHANGE_DEFAULT)
            continue; /* every queue is bound to it by its name */
        exchange = declare_exchange(f->context->declare, &s->from[i], true);
        if (exchange == NULL || declare_binding(f->context->declare, exchange, f->queue,
                                                s->from[i].routing_key) == NULL)
            return ERR_NOMEM;
    }
    return OK;
}

struct feed *feed_new(struct feed_context *context, uint16_t channel, const struct subscription *s)
{
    struct feed *f = calloc(1, sizeof *f);

    if (f == NULL)
        return NULL;
    f->context = context;
    f->subscription = s;
    f->channel = channel;
    backoff_init(&f->backoff, context->backoff_min_ms, context->backoff_max_ms,
                 (uint64_t)clock_wall(&context->clock) + channel);
    f->queue = declare_queue(context->declare, s);
    if (f->queue == NULL || ask_bindings(f) != OK)
        feed_free(&f);
    else if (link_is_up(context->link))
        f->state = FEED_DECLARING;
    return f;
}

/* Takes the oldest one off its list. */
static struct held *pop(struct feed *f)
{
    struct held *h = f->first;

    f->first = h->next_on_feed;
    if (f->first == NULL)
        f->last = NULL;
    f->unacked--;
    return h;
}

/* From *at on, nothing will ever be acked. */
static void abandon(struct feed *f, struct held **at)
{
    bool stale = false;

    while (*at != NULL) {
        struct held *h = *at;

        *at = h->next_on_feed;
        f->unacked--;
        if (h->state == HELD_SETTLED) {
            free(h);
            continue;
        }
        h->stale = true;
        stale = true;
    }
    if (stale)
        f->context->stale(f->context->stale_arg);
}

/* The channel is gone, and with it every tag. */
static void end_epoch(struct feed *f)
{
    abandon(f, &f->first);
    f->last = NULL;
}

void feed_free(struct feed **f)
{
    if (*f == NULL)
        return;
    end_epoch(*f);
    reason_drop(&(*f)->why);
    free(*f);
    *f = NULL;
}

void feed_up(struct feed *f)
{
    f->state = FEED_DECLARING;
}

void feed_down(struct feed *f)
{
    end_epoch(f);
    f->state = FEED_DOWN;
}

static void set_why(struct feed *f, const char *why)
{
    struct reason *shared = reason_take(&f->why, why);

    reason_drop(&shared); /* f->why itself keeps it */
    log_event(f->context->log, LOG_WARN, "broker.consume_stopped",
              LOG_FIELDS(log_text("queue", f->subscription->queue), log_text("why", why)));
}

/* A channel that worked for long starts over with a short rest. */
static void rest(struct feed *f)
{
    int64_t now = clock_mono(&f->context->clock);

    if (f->since_ms != 0 && now - f->since_ms > f->context->backoff_max_ms)
        backoff_reset(&f->backoff);
    f->since_ms = 0;
    f->state = FEED_RESTING;
    f->due_ms = now + backoff_next(&f->backoff);
}

static void on_close(struct feed *f, const amqp_channel_close_t *close)
{
    struct err err = {0};
    char why[TEXT_MAX];

    /* A link that cannot take this is going down, which ends the epoch as well. */
    if (channel_close_ok(f->context->link, f->channel, &err) != OK)
        return;
    if (f->state != FEED_OPENING && f->state != FEED_CONSUMING)
        return;
    end_epoch(f);
    set_why(f, channel_why(close, why, sizeof why));
    rest(f);
}

static void on_cancel(struct feed *f)
{
    struct err err = {0};

    if (f->state != FEED_CONSUMING && f->state != FEED_OPENING)
        return;
    end_epoch(f);
    set_why(f, "the broker cancelled the consumer: the queue was deleted or is unavailable");
    if (channel_close(f->context->link, f->channel, &err) != OK)
        f->context->broken = "a channel could not be closed";
    f->state = FEED_CLOSING;
    f->due_ms = clock_mono(&f->context->clock) + CHANNEL_RPC_MS;
}

static void on_consuming(struct feed *f)
{
    if (f->state != FEED_OPENING)
        return;
    f->state = FEED_CONSUMING;
    f->since_ms = clock_mono(&f->context->clock);
    log_event(f->context->log, LOG_INFO, "broker.consuming",
              LOG_FIELDS(log_text("queue", f->subscription->queue)));
}

void feed_method(struct feed *f, const amqp_method_t *method)
{
    switch (method->id) {
    case AMQP_BASIC_CONSUME_OK_METHOD:
        on_consuming(f);
        break;
    case AMQP_BASIC_CANCEL_METHOD:
        on_cancel(f);
        break;
    case AMQP_CHANNEL_CLOSE_METHOD:
        on_close(f, method->decoded);
        break;
    case AMQP_CHANNEL_CLOSE_OK_METHOD:
        if (f->state == FEED_CLOSING)
            rest(f);
        break;
    default: /* the other answers say nothing that consume-ok does not */
        break;
    }
}

struct held *feed_deliver(struct feed *f, struct delivery *d)
{
    struct held *h;

    if (f->draining || (f->state != FEED_CONSUMING && f->state != FEED_OPENING))
        return NULL;
    d->subscription = f->subscription;
    d->epoch = f->epoch;
    d->owner = f;
    h = held_new(d);
    if (h == NULL) {
        /* The broker keeps it; a new connection asks for it again. */
        f->context->broken = "out of memory for a delivery";
        return NULL;
    }
    if (f->last != NULL)
        f->last->next_on_feed = h;
    else
        f->first = h;
    f->last = h;
    f->unacked++;
    return h;
}

void feed_ack(struct feed *f)
{
    amqp_basic_ack_t ack = {.multiple = true};
    struct err err = {0};

    while (f->first != NULL && f->first->state == HELD_SETTLED) {
        struct held *h = pop(f);

        ack.delivery_tag = h->delivery.tag;
        free(h);
    }
    if (ack.delivery_tag == 0)
        return;
    if (link_send(f->context->link, f->channel, AMQP_BASIC_ACK_METHOD, &ack, &err) != OK)
        f->context->broken = "an ack could not be sent";
}

static void cancel_consumer(struct feed *f)
{
    amqp_basic_cancel_t cancel = {.consumer_tag = amqp_cstring_bytes(CONSUMER_TAG)};
    struct err err = {0};

    if (link_send(f->context->link, f->channel, AMQP_BASIC_CANCEL_METHOD, &cancel, &err) != OK)
        f->context->broken = "a consumer could not be cancelled";
}

/* What no turn has goes. A turn takes from the front, so these are the last ones on
 * the channel, and the acks of the others never cover them. */
static void drop_queued(struct feed *f)
{
    struct held **at = &f->first;

    f->last = NULL;
    while (*at != NULL && (*at)->state != HELD_QUEUED) {
        f->last = *at;
        at = &(*at)->next_on_feed;
    }
    abandon(f, at);
}

void feed_drain(struct feed *f)
{
    if (f->draining)
        return;
    f->draining = true;
    if (f->state == FEED_CONSUMING || f->state == FEED_OPENING)
        cancel_consumer(f);
    drop_queued(f);
}

static int send_consume(struct feed *f, struct err *err)
{
    amqp_basic_qos_t qos = {.prefetch_count = (uint16_t)f->subscription->prefetch};
    amqp_basic_consume_t consume = {
        .queue = amqp_cstring_bytes(f->subscription->queue),
        .consumer_tag = amqp_cstring_bytes(CONSUMER_TAG),
        .arguments = amqp_empty_table,
    };
    int rc = channel_open(f->context->link, f->channel, err);

    if (rc == OK)
        rc = link_send(f->context->link, f->channel, AMQP_BASIC_QOS_METHOD, &qos, err);
    if (rc == OK)
        rc = link_send(f->context->link, f->channel, AMQP_BASIC_CONSUME_METHOD, &consume, err);
    return rc;
}

static void open_channel(struct feed *f)
{
    struct err err = {0};

    if (send_consume(f, &err) != OK) {
        f->context->broken = "a channel could not be opened";
        return;
    }
    f->epoch = ++f->context->epoch;
    f->state = FEED_OPENING;
    f->due_ms = clock_mono(&f->context->clock) + CHANNEL_RPC_MS;
}

void feed_step(struct feed *f)
{
    int64_t now = clock_mono(&f->context->clock);

    if (f->state == FEED_RESTING && f->due_ms <= now && !f->draining) {
        declare_again(f->context->declare, f->queue);
        f->state = FEED_DECLARING;
    }
    if (f->state == FEED_DECLARING && !f->draining && declare_state(f->queue) == DECLARE_READY)
        open_channel(f);
    if ((f->state == FEED_OPENING || f->state == FEED_CLOSING) && f->due_ms <= now)
        f->context->broken = "the broker did not answer in time on a channel for consuming";
}

int64_t feed_due(const struct feed *f)
{
    if (f->state == FEED_RESTING && f->draining)
        return INT64_MAX;
    return f->state == FEED_RESTING || f->state == FEED_OPENING || f->state == FEED_CLOSING
               ? f->due_ms
               : INT64_MAX;
}

bool feed_is_consuming(const struct feed *f)
{
    return f->state == FEED_CONSUMING && !f->draining;
}

size_t feed_unacked(const struct feed *f)
{
    return f->unacked;
}

const char *feed_trouble(const struct feed *f)
{
    if (f->state == FEED_DECLARING && declare_state(f->queue) == DECLARE_REFUSED)
        return declare_why(f->queue);
    return f->state == FEED_RESTING || f->state == FEED_CLOSING ? reason_text(f->why) : NULL;
}
