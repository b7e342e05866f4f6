/* consume_channel - see consume_channel.h for the states. */
#include "rabbit/consume_channel_int.h"

#include "rabbit/channel.h"
#include "rabbit/given_up.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Shown in the broker's lists; a channel has one consumer, so the name need not differ. */
#define CONSUMER_TAG "herald"

enum {
    TEXT_MAX = 700,
    DEAD_PREFETCH = 100, /* of a dead-letter queue: little comes, and may come all at once */
    ANSWER_LATE_MS = 2 * 1000,
    ANSWER_MOST_MS = 15 * 1000, /* a broker's own limit for a consume is 65 s */
};

struct feed *feed_new(struct feed_context *context)
{
    struct feed *f = calloc(1, sizeof *f);

    if (f == NULL)
        return NULL;
    f->context = context;
    f->pace = PACE_FLOW;
    backoff_init(&f->backoff, context->backoff_min_ms, context->backoff_max_ms,
                 (uint64_t)clock_wall(&context->clock) + context->epoch++);
    if (link_is_up(context->link))
        f->state = FEED_DECLARING;
    return f;
}

int feed_plan(struct feed *f, const struct subscription *s, const char *dead)
{
    struct declare_item *queue = declare_queue(f->context->declare, s);

    if (queue != NULL && dead != NULL)
        queue = declare_dead_queue(f->context->declare, queue, dead);
    if (queue == NULL)
        return ERR_NOMEM;
    f->queue = queue; /* the same one for the same name */
    f->next = s;
    snprintf(f->dead, sizeof f->dead, "%s", dead != NULL ? dead : "");
    return dead != NULL ? OK : declare_bindings(f->context->declare, queue, s);
}

const struct subscription *feed_of_dead(const struct feed *f)
{
    return f->dead[0] != '\0' ? f->subscription : NULL;
}

static const char *consumed(const struct feed *f)
{
    return f->dead[0] != '\0' ? f->dead : f->subscription->queue;
}

void feed_free(struct feed **f)
{
    if (*f == NULL)
        return;
    feed_end_epoch(*f);
    reason_drop(&(*f)->why);
    free(*f);
    *f = NULL;
}

void feed_up(struct feed *f)
{
    f->state = FEED_DECLARING;
    f->renewing = false;
    f->is_short = false;
}

void feed_down(struct feed *f)
{
    feed_end_epoch(f);
    f->state = FEED_DOWN;
    f->channel = 0;
}

static void set_why(struct feed *f, const char *why)
{
    struct reason *shared = reason_take(&f->why, why);

    reason_drop(&shared); /* f->why itself keeps it */
    log_event(f->context->log, LOG_WARN, "broker.consume_stopped",
              LOG_FIELDS(log_text("queue", consumed(f)), log_text("why", why)));
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

/* It is closed on both sides. */
static void free_channel(struct feed *f)
{
    channels_release(f->context->channels, f->channel);
    f->channel = 0;
}

static void on_close(struct feed *f, const amqp_channel_close_t *close)
{
    struct err err = {0};
    char why[TEXT_MAX];

    /* A link that cannot take this is going down, which ends the epoch as well. */
    if (channel_close_ok(f->context->link, f->channel, &err) != OK)
        return;
    if (!feed_has_channel(f))
        return;
    free_channel(f);
    feed_end_epoch(f);
    set_why(f, feed_why_closed(f, close, why, sizeof why));
    rest(f);
}

/* With the channel go its consumer and whatever is held of it. */
static void close_channel(struct feed *f)
{
    struct err err = {0};

    feed_end_epoch(f);
    if (channel_close(f->context->link, f->channel, &err) != OK)
        f->context->broken = "a channel could not be closed";
    f->state = FEED_CLOSING;
    f->due_ms = clock_mono(&f->context->clock) + ANSWER_MOST_MS;
}

/* The consumer is gone, its channel is not yet. */
static void on_cancel(struct feed *f, const char *why)
{
    if (!feed_has_channel(f))
        return;
    set_why(f, why);
    close_channel(f);
}

static void on_cancelled(struct feed *f)
{
    char why[TEXT_MAX];

    on_cancel(f, feed_why_cancelled(f, why, sizeof why));
}

/* Its channel is of no concern any more. */
static void go_on(struct feed *f)
{
    if (f->renewing || f->subscription == NULL)
        f->state = FEED_DECLARING;
    else
        rest(f);
    f->renewing = false;
}

static void on_close_ok(struct feed *f)
{
    if (f->state != FEED_CLOSING)
        return;
    free_channel(f);
    go_on(f);
}

static void on_consuming(struct feed *f)
{
    if (f->state != FEED_OPENING)
        return;
    f->state = FEED_CONSUMING;
    f->since_ms = clock_mono(&f->context->clock);
    log_event(f->context->log, LOG_INFO, "broker.consuming",
              LOG_FIELDS(log_text("queue", consumed(f))));
}

void feed_method(struct feed *f, const amqp_method_t *method)
{
    switch (method->id) {
    case AMQP_BASIC_CONSUME_OK_METHOD:
        on_consuming(f);
        break;
    case AMQP_BASIC_CANCEL_METHOD:
        on_cancelled(f);
        break;
    case AMQP_CHANNEL_CLOSE_METHOD:
        on_close(f, method->decoded);
        break;
    case AMQP_CHANNEL_CLOSE_OK_METHOD:
        on_close_ok(f);
        break;
    default: /* the other answers say nothing that consume-ok does not */
        break;
    }
}

static void end_channel(struct feed *f)
{
    if (!feed_has_channel(f))
        return;
    feed_ack(f);
    feed_ack_beyond_gaps(f);
    close_channel(f);
}

void feed_renew(struct feed *f)
{
    if (!feed_has_channel(f))
        return;
    end_channel(f);
    f->renewing = true;
}

/* Nothing of it is left to the next subscription but the channel that closes. */
static void leave_queue(struct feed *f)
{
    if (f->subscription == NULL)
        return;
    log_event(f->context->log, LOG_INFO, "broker.queue_left",
              LOG_FIELDS(log_text("queue", consumed(f))));
    end_channel(f);
    f->subscription = NULL;
    f->queue = NULL;
    f->pace = PACE_FLOW;
    f->renewing = false;
    f->since_ms = 0;
    f->room = (struct feed_room){.narrow = 0};
    f->warned = false;
    f->limit = NULL;
    backoff_reset(&f->backoff);
    reason_drop(&f->why);
    if (f->state == FEED_RESTING)
        f->state = FEED_DECLARING;
}

static int prefetch_of(const struct feed *f, const struct subscription *s)
{
    return f->dead[0] != '\0' ? DEAD_PREFETCH : s->prefetch;
}

static void enter_queue(struct feed *f)
{
    const struct subscription *before = f->subscription;

    f->subscription = f->next;
    f->next = NULL;
    for (struct held *h = f->first; h != NULL; h = h->next_on_feed)
        h->delivery.subscription = f->subscription;
    /* basic.qos is for consumers to come. */
    if (before != NULL && prefetch_of(f, before) != prefetch_of(f, f->subscription))
        feed_renew(f);
}

void feed_adopt(struct feed *f)
{
    if (f->next != NULL)
        enter_queue(f);
    else
        leave_queue(f);
}

static enum broker_pace pace_of(const struct feed *f)
{
    return f->pace < f->context->pace ? f->pace : f->context->pace;
}

void feed_pace(struct feed *f, const char *queue, enum broker_pace pace)
{
    if (f->subscription == NULL || (queue != NULL && strcmp(consumed(f), queue) != 0))
        return;
    if (queue != NULL)
        f->pace = pace;
    if (!f->context->holding && f->opened_at != pace_of(f))
        feed_renew(f);
}

void feed_abandon(struct feed *f)
{
    f->next = NULL;
}

const char *feed_unplanned_queue(const struct feed *f)
{
    return f->next == NULL && f->subscription != NULL ? consumed(f) : NULL;
}

bool feed_is_free(const struct feed *f)
{
    return f->subscription == NULL && f->next == NULL && f->state != FEED_CLOSING;
}

static void cancel_consumer(struct feed *f)
{
    amqp_basic_cancel_t cancel = {.consumer_tag = amqp_cstring_bytes(CONSUMER_TAG)};
    struct err err = {0};

    if (link_send(f->context->link, f->channel, AMQP_BASIC_CANCEL_METHOD, &cancel, &err) != OK)
        f->context->broken = "a consumer could not be cancelled";
}

void feed_drain(struct feed *f)
{
    if (f->draining)
        return;
    f->draining = true;
    if (feed_has_channel(f))
        cancel_consumer(f);
    feed_drop_queued(f);
}

static int send_consume(struct feed *f, struct err *err)
{
    uint16_t prefetch = feed_room_prefetch(f, (uint16_t)prefetch_of(f, f->subscription));
    amqp_basic_qos_t qos = {.prefetch_count = pace_of(f) == PACE_ONE ? 1 : prefetch};
    /* As it is without; but a stream takes no such argument, and refuses to be consumed. */
    amqp_table_entry_t priority = {.key = amqp_cstring_bytes("x-priority"),
                                   .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 0}};
    amqp_basic_consume_t consume = {
        .queue = amqp_cstring_bytes(consumed(f)),
        .consumer_tag = amqp_cstring_bytes(CONSUMER_TAG),
        .arguments = {.num_entries = 1, .entries = &priority},
    };
    int rc = channel_open(f->context->link, f->channel, err);

    if (rc == OK)
        rc = link_send(f->context->link, f->channel, AMQP_BASIC_QOS_METHOD, &qos, err);
    if (rc == OK)
        rc = link_send(f->context->link, f->channel, AMQP_BASIC_CONSUME_METHOD, &consume, err);
    return rc;
}

static bool may_open(const struct feed *f)
{
    return f->state == FEED_DECLARING && f->subscription != NULL && !f->draining &&
           pace_of(f) != PACE_STOP && declare_state(f->queue) == DECLARE_READY;
}

/* It is tried again whenever another channel is closed. */
static void tell_short(struct feed *f)
{
    char why[TEXT_MAX];

    if (f->is_short)
        return;
    f->is_short = true;
    snprintf(why, sizeof why,
             "queue \"%s\" is not consumed: the broker allows %zu channels on a connection "
             "(channel_max), and all are in use; raise it there, or take queues to another router",
             consumed(f), channels_most(f->context->channels));
    set_why(f, why);
}

static void open_channel(struct feed *f)
{
    struct err err = {0};

    f->channel = channels_take(f->context->channels, CHANNELS_OF_WORK, f);
    if (f->channel == 0) {
        feed_room_leave(f);
        tell_short(f);
        return;
    }
    f->is_short = false;
    if (send_consume(f, &err) != OK) {
        f->context->broken = "a channel could not be opened";
        return;
    }
    f->epoch = ++f->context->epoch;
    f->deserted = declare_deserted(f->queue);
    f->opened_at = pace_of(f);
    f->state = FEED_OPENING;
    f->due_ms = clock_mono(&f->context->clock) + ANSWER_MOST_MS;
}

/* The channel is left to itself: its close-ok may be long in coming. */
static void leave_unanswered(struct feed *f, const char *why)
{
    struct err err = {0};

    feed_end_epoch(f);
    if (channels_leave(f->context->channels, f->channel, &err) != OK)
        f->context->broken = "a channel could not be closed";
    f->channel = 0;
    f->state = FEED_DECLARING;
    f->renewing = false;
    declare_unanswered(f->context->declare, f->queue, why);
}

static void give_up(struct feed *f)
{
    char why[TEXT_MAX];

    snprintf(why, sizeof why,
             "queue \"%s\": the broker has not answered the consume for %d s; it is asked again on "
             "a connection of its own, and nothing else waits for it",
             consumed(f), ANSWER_MOST_MS / 1000);
    leave_unanswered(f, why);
}

void feed_blame(struct feed *f, const char *why)
{
    if (f->state == FEED_OPENING)
        declare_unanswered(f->context->declare, f->queue, why);
}

const char *feed_queue(const struct feed *f)
{
    return f->subscription != NULL ? consumed(f) : NULL;
}

void feed_step(struct feed *f)
{
    int64_t now = clock_mono(&f->context->clock);

    if (f->state == FEED_RESTING && f->due_ms <= now && !f->draining) {
        declare_again(f->context->declare, f->queue);
        f->state = FEED_DECLARING;
    }
    if (may_open(f) && feed_room_enter(f))
        open_channel(f);
    feed_room_step(f);
    /* A quorum queue that is deleted and made again within milliseconds may keep the
     * broker from telling its consumers (seen with 3.10). */
    if (f->state == FEED_CONSUMING && !f->draining && declare_deserted(f->queue) != f->deserted)
        on_cancel(f, "the queue was deleted and made again: the broker knows no consumer");
    if (f->state == FEED_OPENING && f->due_ms <= now)
        give_up(f);
    if (f->state == FEED_CLOSING && f->due_ms <= now) {
        channels_orphan(f->context->channels, f->channel);
        f->channel = 0;
        go_on(f);
    }
}

int64_t feed_due(const struct feed *f)
{
    if (f->state == FEED_RESTING && f->draining)
        return INT64_MAX;
    return f->state == FEED_RESTING || f->state == FEED_OPENING || f->state == FEED_CLOSING
               ? f->due_ms
               : feed_room_due(f);
}

bool feed_is_ready(const struct feed *f)
{
    return f->subscription == NULL || f->dead[0] != '\0' || pace_of(f) != PACE_FLOW ||
           feed_ticket(f) != 0 || (f->state == FEED_CONSUMING && !f->draining);
}

size_t feed_unacked(const struct feed *f)
{
    return f->unacked;
}

/* The answer takes longer than is usual. */
static bool is_late(const struct feed *f)
{
    return f->state == FEED_OPENING &&
           f->due_ms - clock_mono(&f->context->clock) <= ANSWER_MOST_MS - ANSWER_LATE_MS;
}

const char *feed_own_trouble(const struct feed *f)
{
    if (f->subscription == NULL || f->renewing)
        return NULL;
    if (is_late(f))
        return "the broker has not answered the consume yet";
    return f->state == FEED_RESTING || f->state == FEED_CLOSING ||
                   (f->state == FEED_DECLARING && f->is_short)
               ? reason_text(f->why)
               : NULL;
}

const char *feed_trouble(const struct feed *f)
{
    if (f->subscription != NULL && f->state == FEED_DECLARING && declare_why(f->queue)[0] != '\0')
        return declare_why(f->queue);
    return is_late(f) ? NULL : feed_own_trouble(f);
}
