/* consume_channel - see consume_channel.h for the states. */
#include "rabbit/consume_channel_int.h"

#include "rabbit/channel.h"
#include "rabbit/dead_letter_queue.h"

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

struct consume_channel *consume_channel_new(struct consume_channel_context *context)
{
    struct consume_channel *f = calloc(1, sizeof *f);

    if (f == NULL)
        return NULL;
    f->context = context;
    f->pace = PACE_FLOW;
    backoff_init(&f->backoff, context->backoff_min_ms, context->backoff_max_ms,
                 (uint64_t)clock_wall(&context->clock) + context->incarnation++);
    if (link_is_up(context->link))
        f->state = CONSUME_CHANNEL_DECLARING;
    return f;
}

int consume_channel_plan(struct consume_channel *f, const struct subscription *s, const char *dead)
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

const struct subscription *consume_channel_of_dead(const struct consume_channel *f)
{
    return f->dead[0] != '\0' ? f->subscription : NULL;
}

static const char *consumed(const struct consume_channel *f)
{
    return f->dead[0] != '\0' ? f->dead : f->subscription->queue;
}

void consume_channel_free(struct consume_channel **f)
{
    if (*f == NULL)
        return;
    consume_channel_end_incarnation(*f);
    reason_drop(&(*f)->why);
    free(*f);
    *f = NULL;
}

void consume_channel_up(struct consume_channel *f)
{
    f->state = CONSUME_CHANNEL_DECLARING;
    f->renewing = false;
    f->is_short = false;
}

void consume_channel_down(struct consume_channel *f)
{
    consume_channel_end_incarnation(f);
    f->state = CONSUME_CHANNEL_DOWN;
    f->channel = 0;
}

static void set_why(struct consume_channel *f, const char *why)
{
    f->standby = false;
    struct reason *shared = reason_take(&f->why, why);

    reason_drop(&shared); /* f->why itself keeps it */
    log_event(f->context->log, LOG_WARN, "broker.consume_stopped",
              LOG_FIELDS(log_text("queue", consumed(f)), log_text("why", why)));
}

/* That is no trouble: it is what an exclusive consumer is for. Told once until it consumes. */
static void stand_by(struct consume_channel *f, const char *why)
{
    struct reason *shared;

    if (f->standby)
        return;
    f->standby = true;
    shared = reason_take(&f->why, why);
    reason_drop(&shared); /* f->why itself keeps it */
    log_event(f->context->log, LOG_INFO, "broker.standby",
              LOG_FIELDS(log_text("queue", consumed(f)), log_text("why", why)));
}

/* A channel that worked for long starts over with a short wait. */
static void back_off(struct consume_channel *f)
{
    int64_t now = clock_mono(&f->context->clock);

    if (f->since_ms != 0 && now - f->since_ms > f->context->backoff_max_ms)
        backoff_reset(&f->backoff);
    f->since_ms = 0;
    f->state = CONSUME_CHANNEL_BACKOFF;
    f->due_ms = now + backoff_next(&f->backoff);
}

/* It is closed on both sides. */
static void free_channel(struct consume_channel *f)
{
    channels_release(f->context->channels, f->channel);
    f->channel = 0;
}

static void on_close(struct consume_channel *f, const amqp_channel_close_t *close)
{
    struct err err = {0};
    char why[TEXT_MAX];

    /* A link that cannot take this is going down, which ends the incarnation as well. */
    if (channel_close_ok(f->context->link, f->channel, &err) != OK)
        return;
    if (!consume_channel_has_channel(f))
        return;
    free_channel(f);
    consume_channel_end_incarnation(f);
    consume_channel_why_closed(f, close, why, sizeof why);
    if (f->subscription != NULL && consume_channel_must_stand_by(f, close))
        stand_by(f, why);
    else
        set_why(f, why);
    back_off(f);
}

/* With the channel go its consumer and whatever is unacked of it. */
static void close_channel(struct consume_channel *f)
{
    struct err err = {0};

    consume_channel_end_incarnation(f);
    if (channel_close(f->context->link, f->channel, &err) != OK)
        f->context->broken = "a channel could not be closed";
    f->state = CONSUME_CHANNEL_CLOSING;
    f->due_ms = clock_mono(&f->context->clock) + ANSWER_MOST_MS;
}

/* The consumer is gone, its channel is not yet. */
static void on_cancel(struct consume_channel *f, const char *why)
{
    if (!consume_channel_has_channel(f))
        return;
    set_why(f, why);
    close_channel(f);
}

static void on_cancelled(struct consume_channel *f)
{
    char why[TEXT_MAX];

    on_cancel(f, consume_channel_why_cancelled(f, why, sizeof why));
}

/* Its channel is of no concern any more. */
static void go_on(struct consume_channel *f)
{
    if (f->renewing || f->subscription == NULL)
        f->state = CONSUME_CHANNEL_DECLARING;
    else
        back_off(f);
    f->renewing = false;
}

static void on_close_ok(struct consume_channel *f)
{
    if (f->state != CONSUME_CHANNEL_CLOSING)
        return;
    free_channel(f);
    go_on(f);
}

static void on_consuming(struct consume_channel *f)
{
    if (f->state != CONSUME_CHANNEL_OPENING)
        return;
    f->state = CONSUME_CHANNEL_CONSUMING;
    f->standby = false;
    f->since_ms = clock_mono(&f->context->clock);
    log_event(f->context->log, LOG_INFO, "broker.consuming",
              LOG_FIELDS(log_text("queue", consumed(f))));
}

void consume_channel_method(struct consume_channel *f, const amqp_method_t *method)
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

static void end_channel(struct consume_channel *f)
{
    if (!consume_channel_has_channel(f))
        return;
    consume_channel_ack(f);
    consume_channel_ack_beyond_gaps(f);
    close_channel(f);
}

void consume_channel_renew(struct consume_channel *f)
{
    if (!consume_channel_has_channel(f))
        return;
    end_channel(f);
    f->renewing = true;
}

/* The next subscription takes over nothing but the channel, which is being closed. */
static void leave_queue(struct consume_channel *f)
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
    f->room = (struct consume_channel_room){.narrow = 0};
    f->warned = f->standby = false;
    f->limit = NULL;
    backoff_reset(&f->backoff);
    reason_drop(&f->why);
    if (f->state == CONSUME_CHANNEL_BACKOFF)
        f->state = CONSUME_CHANNEL_DECLARING;
}

static int prefetch_of(const struct consume_channel *f, const struct subscription *s)
{
    return f->dead[0] != '\0' ? DEAD_PREFETCH : s->prefetch;
}

/* A dead-letter queue is consumed with the usual priority. */
static int32_t priority_of(const struct consume_channel *f, const struct subscription *s)
{
    return f->dead[0] != '\0' ? 0 : s->priority;
}

static bool is_exclusive(const struct consume_channel *f, const struct subscription *s)
{
    return f->dead[0] == '\0' && s->exclusive;
}

/* What a consumer is told once, when it begins: basic.qos is for consumers to come. */
static bool consumes_alike(const struct consume_channel *f, const struct subscription *a,
                           const struct subscription *b)
{
    return prefetch_of(f, a) == prefetch_of(f, b) && priority_of(f, a) == priority_of(f, b) &&
           is_exclusive(f, a) == is_exclusive(f, b);
}

static void enter_queue(struct consume_channel *f)
{
    const struct subscription *before = f->subscription;

    f->subscription = f->next;
    f->next = NULL;
    for (struct unacked *u = f->unacked.first; u != NULL; u = u->next_on_channel)
        u->delivery.subscription = f->subscription;
    if (before != NULL && !consumes_alike(f, before, f->subscription))
        consume_channel_renew(f);
}

void consume_channel_adopt(struct consume_channel *f)
{
    if (f->next != NULL)
        enter_queue(f);
    else
        leave_queue(f);
}

static enum broker_pace pace_of(const struct consume_channel *f)
{
    return f->pace < f->context->pace ? f->pace : f->context->pace;
}

void consume_channel_pace(struct consume_channel *f, const char *queue, enum broker_pace pace)
{
    if (f->subscription == NULL || (queue != NULL && strcmp(consumed(f), queue) != 0))
        return;
    if (queue != NULL)
        f->pace = pace;
    if (!f->context->acks_wait && f->opened_at != pace_of(f))
        consume_channel_renew(f);
}

void consume_channel_abandon(struct consume_channel *f)
{
    f->next = NULL;
}

const char *consume_channel_unplanned_queue(const struct consume_channel *f)
{
    return f->next == NULL && f->subscription != NULL ? consumed(f) : NULL;
}

bool consume_channel_is_free(const struct consume_channel *f)
{
    return f->subscription == NULL && f->next == NULL && f->state != CONSUME_CHANNEL_CLOSING;
}

static void cancel_consumer(struct consume_channel *f)
{
    amqp_basic_cancel_t cancel = {.consumer_tag = amqp_cstring_bytes(CONSUMER_TAG)};
    struct err err = {0};

    if (link_send(f->context->link, f->channel, AMQP_BASIC_CANCEL_METHOD, &cancel, &err) != OK)
        f->context->broken = "a consumer could not be cancelled";
}

void consume_channel_drain(struct consume_channel *f)
{
    if (f->draining)
        return;
    f->draining = true;
    if (consume_channel_has_channel(f))
        cancel_consumer(f);
    consume_channel_drop_queued(f);
}

static int send_consume(struct consume_channel *f, struct err *err)
{
    uint16_t prefetch = consume_channel_room_prefetch(f, (uint16_t)prefetch_of(f, f->subscription));
    amqp_basic_qos_t qos = {.prefetch_count = pace_of(f) == PACE_ONE ? 1 : prefetch};
    /* 0 is as without; but a stream takes no such argument, and refuses to be consumed. */
    amqp_table_entry_t priority = {
        .key = amqp_cstring_bytes("x-priority"),
        .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = priority_of(f, f->subscription)}};
    amqp_basic_consume_t consume = {
        .queue = amqp_cstring_bytes(consumed(f)),
        .consumer_tag = amqp_cstring_bytes(CONSUMER_TAG),
        .exclusive = is_exclusive(f, f->subscription),
        .arguments = {.num_entries = 1, .entries = &priority},
    };
    int rc = channel_open(f->context->link, f->channel, err);

    if (rc == OK)
        rc = link_send(f->context->link, f->channel, AMQP_BASIC_QOS_METHOD, &qos, err);
    if (rc == OK)
        rc = link_send(f->context->link, f->channel, AMQP_BASIC_CONSUME_METHOD, &consume, err);
    return rc;
}

static bool may_open(const struct consume_channel *f)
{
    return f->state == CONSUME_CHANNEL_DECLARING && f->subscription != NULL && !f->draining &&
           pace_of(f) != PACE_STOP && declare_state(f->queue) == DECLARE_READY;
}

/* It is tried again whenever another channel is closed. */
static void tell_short(struct consume_channel *f)
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

static void open_channel(struct consume_channel *f)
{
    struct err err = {0};

    f->channel = channels_take(f->context->channels, CHANNELS_OF_WORK, f);
    if (f->channel == 0) {
        consume_channel_room_leave(f);
        tell_short(f);
        return;
    }
    f->is_short = false;
    if (send_consume(f, &err) != OK) {
        f->context->broken = "a channel could not be opened";
        return;
    }
    f->incarnation = ++f->context->incarnation;
    f->deserted = declare_deserted(f->queue);
    f->opened_at = pace_of(f);
    f->state = CONSUME_CHANNEL_OPENING;
    f->due_ms = clock_mono(&f->context->clock) + ANSWER_MOST_MS;
}

/* The channel is left to itself: its close-ok may be long in coming. */
static void leave_unanswered(struct consume_channel *f, const char *why)
{
    struct err err = {0};

    consume_channel_end_incarnation(f);
    if (channels_leave(f->context->channels, f->channel, &err) != OK)
        f->context->broken = "a channel could not be closed";
    f->channel = 0;
    f->state = CONSUME_CHANNEL_DECLARING;
    f->renewing = false;
    declare_unanswered(f->context->declare, f->queue, why);
}

static void give_up(struct consume_channel *f)
{
    char why[TEXT_MAX];

    snprintf(why, sizeof why,
             "queue \"%s\": the broker has not answered the consume for %d s; it is asked again on "
             "a connection of its own, and nothing else waits for it",
             consumed(f), ANSWER_MOST_MS / 1000);
    leave_unanswered(f, why);
}

void consume_channel_blame(struct consume_channel *f, const char *why)
{
    if (f->state == CONSUME_CHANNEL_OPENING)
        declare_unanswered(f->context->declare, f->queue, why);
}

const char *consume_channel_queue(const struct consume_channel *f)
{
    return f->subscription != NULL ? consumed(f) : NULL;
}

void consume_channel_step(struct consume_channel *f)
{
    int64_t now = clock_mono(&f->context->clock);

    if (f->state == CONSUME_CHANNEL_BACKOFF && f->due_ms <= now && !f->draining) {
        if (!f->standby) /* else it is there */
            declare_again(f->context->declare, f->queue);
        f->state = CONSUME_CHANNEL_DECLARING;
    }
    if (may_open(f) && consume_channel_room_enter(f))
        open_channel(f);
    consume_channel_room_step(f);
    /* A quorum queue that is deleted and made again within milliseconds may keep the
     * broker from telling its consumers (seen with 3.10). */
    if (f->state == CONSUME_CHANNEL_CONSUMING && !f->draining &&
        declare_deserted(f->queue) != f->deserted)
        on_cancel(f, "the queue was deleted and made again: the broker knows no consumer");
    if (f->state == CONSUME_CHANNEL_OPENING && f->due_ms <= now)
        give_up(f);
    if (f->state == CONSUME_CHANNEL_CLOSING && f->due_ms <= now) {
        channels_orphan(f->context->channels, f->channel);
        f->channel = 0;
        go_on(f);
    }
}

int64_t consume_channel_due(const struct consume_channel *f)
{
    if (f->state == CONSUME_CHANNEL_BACKOFF && f->draining)
        return INT64_MAX;
    return f->state == CONSUME_CHANNEL_BACKOFF || f->state == CONSUME_CHANNEL_OPENING ||
                   f->state == CONSUME_CHANNEL_CLOSING
               ? f->due_ms
               : consume_channel_room_due(f);
}

bool consume_channel_is_ready(const struct consume_channel *f)
{
    return f->subscription == NULL || f->dead[0] != '\0' || pace_of(f) != PACE_FLOW ||
           consume_channel_ticket(f) != 0 || (f->standby && !f->draining) ||
           (f->state == CONSUME_CHANNEL_CONSUMING && !f->draining);
}

bool consume_channel_stands_by(const struct consume_channel *f)
{
    return f->standby;
}

size_t consume_channel_unacked(const struct consume_channel *f)
{
    return f->unacked.n;
}

/* The answer takes longer than is usual. */
static bool is_late(const struct consume_channel *f)
{
    return f->state == CONSUME_CHANNEL_OPENING &&
           f->due_ms - clock_mono(&f->context->clock) <= ANSWER_MOST_MS - ANSWER_LATE_MS;
}

const char *consume_channel_own_trouble(const struct consume_channel *f)
{
    if (f->subscription == NULL || f->renewing)
        return NULL;
    if (f->standby)
        return reason_text(f->why);
    if (is_late(f))
        return "the broker has not answered the consume yet";
    return f->state == CONSUME_CHANNEL_BACKOFF || f->state == CONSUME_CHANNEL_CLOSING ||
                   (f->state == CONSUME_CHANNEL_DECLARING && f->is_short)
               ? reason_text(f->why)
               : NULL;
}

const char *consume_channel_trouble(const struct consume_channel *f)
{
    if (f->subscription != NULL && f->state == CONSUME_CHANNEL_DECLARING &&
        declare_why(f->queue)[0] != '\0')
        return declare_why(f->queue);
    return is_late(f) || f->standby ? NULL : consume_channel_own_trouble(f);
}

bool consume_channel_has_channel(const struct consume_channel *f)
{
    return f->state == CONSUME_CHANNEL_CONSUMING || f->state == CONSUME_CHANNEL_OPENING;
}

static void sweep(struct consume_channel *f, bool some_are_stale)
{
    if (some_are_stale)
        f->context->stale(f->context->stale_arg);
}

void consume_channel_end_incarnation(struct consume_channel *f)
{
    sweep(f, unacked_abandon(&f->unacked));
    consume_channel_room_leave(f);
}

struct unacked *consume_channel_deliver(struct consume_channel *f, struct delivery *d)
{
    struct unacked *u;

    if (f->draining || !consume_channel_has_channel(f))
        return NULL;
    d->subscription = f->subscription;
    d->incarnation = f->incarnation;
    d->owner = f;
    u = unacked_new(d, &f->context->unacked_bytes);
    if (u == NULL) {
        /* The broker keeps it; a new connection asks for it again. */
        f->context->broken = "out of memory for a delivery";
        return NULL;
    }
    u->came_ms = clock_mono(&f->context->clock);
    unacked_tag(&f->unacked, u);
    return u;
}

static void send_ack(struct consume_channel *f, uint64_t tag, bool multiple)
{
    amqp_basic_ack_t ack = {.delivery_tag = tag, .multiple = multiple};
    struct err err = {0};

    if (link_send(f->context->link, f->channel, AMQP_BASIC_ACK_METHOD, &ack, &err) != OK)
        f->context->broken = "an ack could not be sent";
}

static void ack_one(void *arg, const struct unacked *u)
{
    send_ack(arg, u->delivery.tag, false);
}

void consume_channel_ack(struct consume_channel *f)
{
    const uint64_t tag = unacked_pop_told(&f->unacked);

    if (tag != 0)
        send_ack(f, tag, true);
}

void consume_channel_ack_rescued(struct consume_channel *f)
{
    unacked_pop_rescued(&f->unacked, ack_one, f);
}

void consume_channel_ack_beyond_gaps(struct consume_channel *f)
{
    unacked_each_told(&f->unacked, ack_one, f);
}

void consume_channel_drop_queued(struct consume_channel *f)
{
    sweep(f, unacked_abandon_queued(&f->unacked));
}
