/* rabbit_links - see rabbit_int.h. Which event of which link concerns whom, and one
 * timer for all that waits. */
#include "rabbit/channel.h"
#include "rabbit/rabbit_int.h"

#include <stdio.h>

enum {
    BOUND_WAIT_MS = 10 * 1000, /* patience with the consuming link */
    LONG_TURN_MS = 100,        /* in so long a broker may have cancelled a consumer, unheard */
};

static void on_timer(uv_timer_t *timer);

/* One timer serves all: it is set to the earliest due time and, since deadlines move
 * on with every confirm, only ever moved to an earlier one here. */
static void arm(struct rabbit *r)
{
    const int64_t dues[] = {publisher_due(r->publisher),
                            consumer_due(r->consumer),
                            declare_due(r->publish.declare),
                            declare_due(r->consume.declare),
                            side_connections_due(r->publish.side),
                            side_connections_due(r->consume.side),
                            r->bound_by_ms};
    int64_t due = INT64_MAX;
    int64_t wait;

    if (r->state != RABBIT_RUNNING || r->overdue)
        return;
    for (size_t i = 0; i < sizeof dues / sizeof dues[0]; i++)
        due = dues[i] < due ? dues[i] : due;
    if (due >= r->armed_ms)
        return;
    wait = due - clock_mono(&r->clock);
    /* Fails only for a closing handle, which RUNNING rules out. */
    if (uv_timer_start(&r->timer, on_timer, wait > 1 ? (uint64_t)wait : 1, 0) == 0)
        r->armed_ms = due;
}

static void mend(struct half *h, const char *broken)
{
    if (broken != NULL && link_is_up(h->link))
        link_restart(h->link, broken);
}

/* What every event and every turn ends with. */
void rabbit_settle_down(struct rabbit *r)
{
    mend(&r->publish, publisher_broken(r->publisher));
    mend(&r->consume, consumer_broken(r->consumer));
    if (r->state == RABBIT_RUNNING) {
        side_connections_step(r->publish.side);
        side_connections_step(r->consume.side);
    }
    arm(r);
    if (r->news && r->wake != NULL)
        r->wake(r->wake_arg);
    r->news = false;
}

void rabbit_flush(struct rabbit *r)
{
    if (link_is_up(r->publish.link))
        link_flush(r->publish.link);
    if (link_is_up(r->consume.link))
        link_flush(r->consume.link);
}

/* A new router, or one with a new queue, would have its first messages returned by an
 * exchange that its own queues are not bound to yet. So publishing waits for the
 * consuming link to have declared, but not for ever: that link may be the one in
 * trouble. */
void rabbit_begin_wait(struct rabbit *r)
{
    r->bound = false;
    r->bound_by_ms =
        link_is_up(r->publish.link) ? clock_mono(&r->clock) + BOUND_WAIT_MS : INT64_MAX;
}

void rabbit_end_wait(struct rabbit *r)
{
    if (r->bound)
        return;
    r->bound = true;
    r->bound_by_ms = INT64_MAX;
    r->news = true;
}

/* Whatever has moved, it may move others. */
static void step_all(struct rabbit *r)
{
    publisher_step(r->publisher);
    consumer_step(r->consumer);
    if (declare_is_settled(r->consume.declare))
        rabbit_end_wait(r);
    rabbit_flush(r);
    r->news = true;
    rabbit_settle_down(r);
}

static void judge(struct rabbit *r)
{
    r->overdue = false;
    if (r->bound_by_ms <= clock_mono(&r->clock))
        rabbit_end_wait(r);
    step_all(r);
}

void rabbit_side_opened(void *half)
{
    ((struct half *)half)->rabbit->open++;
}

void rabbit_side_closed(void *half)
{
    struct rabbit *r = ((struct half *)half)->rabbit;

    if (r->state == RABBIT_RUNNING)
        rabbit_settle_down(r); /* its place is free for another */
    rabbit_part_closed(r);
}

void rabbit_side_stirred(void *half)
{
    step_all(((struct half *)half)->rabbit);
}

static void let_it_sleep(struct rabbit *r)
{
    if (r->overdue || r->acks_wait)
        return;
    uv_check_stop(&r->after_read);
    uv_idle_stop(&r->no_sleep);
}

static void on_after_read(uv_check_t *check)
{
    struct rabbit *r = check->data;

    if (r->overdue)
        judge(r);
    if (r->acks_wait && !r->heard) {
        rabbit_ack_now(r);
        rabbit_flush(r);
        rabbit_settle_down(r);
    }
    r->heard = false;
    let_it_sleep(r);
}

static void stay_awake(uv_idle_t *idle)
{
    (void)idle;
}

/* Neither start can fail: the callbacks are there. */
static void look_after_read(struct rabbit *r)
{
    uv_check_start(&r->after_read, on_after_read);
    uv_idle_start(&r->no_sleep, stay_awake);
}

/* A loop that was busy for long has what would have been in time still unread, and some libuv
 * (before 1.45) runs timers before it reads: so what is due is judged after the next reads. */
static void on_timer(uv_timer_t *timer)
{
    struct rabbit *r = timer->data;

    r->armed_ms = INT64_MAX;
    r->overdue = true;
    look_after_read(r);
}

/* For how long this iteration of the loop has lasted. */
static int64_t unread_ms(const struct rabbit *r)
{
    return (int64_t)(uv_hrtime() / 1000000) - (int64_t)uv_now(r->loop);
}

void rabbit_read_first(struct rabbit *r)
{
    if (unread_ms(r) < LONG_TURN_MS)
        return;
    r->acks_wait = true;
    consumer_let_acks_wait(r->consumer, true);
    look_after_read(r);
    r->heard = true; /* what the next poll finds is to be read at least */
}

void rabbit_ack_now(struct rabbit *r)
{
    r->acks_wait = false;
    consumer_let_acks_wait(r->consumer, false);
    let_it_sleep(r);
}

static void note_files(struct half *h)
{
    if (h->rabbit->tls != NULL)
        h->tls_files = tls_used(h->rabbit->tls);
}

static void on_publish_up(void *arg)
{
    struct rabbit *r = ((struct half *)arg)->rabbit;

    note_files(arg);
    if (!r->bound)
        r->bound_by_ms = clock_mono(&r->clock) + BOUND_WAIT_MS;
    declare_up(r->publish.declare);
    publisher_up(r->publisher);
    r->news = true;
}

static void on_consume_up(void *arg)
{
    struct rabbit *r = ((struct half *)arg)->rabbit;

    note_files(arg);
    declare_up(r->consume.declare);
    consumer_up(r->consumer);
}

static void on_publish_down(void *arg, const struct err *why)
{
    struct rabbit *r = ((struct half *)arg)->rabbit;

    r->blocked[0] = '\0';
    declare_blame(r->publish.declare, link_fault(r->publish.link), why->text);
    declare_down(r->publish.declare);
    publisher_down(r->publisher, why);
    channels_down(r->publish.channels);
    r->news = true;
    rabbit_settle_down(r);
}

static void on_consume_down(void *arg, const struct err *why)
{
    struct rabbit *r = ((struct half *)arg)->rabbit;

    declare_blame(r->consume.declare, link_fault(r->consume.link), why->text);
    if (link_fault(r->consume.link) == AMQP_BASIC_CONSUME_METHOD)
        consumer_blame(r->consumer, why->text);
    declare_down(r->consume.declare);
    consumer_down(r->consumer);
    channels_down(r->consume.channels);
    rabbit_settle_down(r);
}

static void on_publish_method(void *arg, uint16_t channel, const amqp_method_t *method)
{
    struct half *h = arg;

    h->rabbit->news = true;
    if (channels_hear(h->channels, channel, method))
        h->stirred = true;
    else if (channels_owner(h->channels, CHANNELS_OF_DECLARE, channel) != NULL)
        declare_method(h->declare, channel, method);
    else
        publisher_method(h->rabbit->publisher, channel, method);
    if (method->id != AMQP_BASIC_ACK_METHOD && method->id != AMQP_BASIC_NACK_METHOD)
        h->stirred = true;
}

static void on_consume_method(void *arg, uint16_t channel, const amqp_method_t *method)
{
    struct half *h = arg;

    h->stirred = true;
    if (channels_hear(h->channels, channel, method))
        return;
    if (channels_owner(h->channels, CHANNELS_OF_DECLARE, channel) != NULL)
        declare_method(h->declare, channel, method);
    else
        consumer_method(h->rabbit->consumer, channel, method);
}

static void on_publish_content(void *arg, const struct link_content *content)
{
    publisher_content(((struct half *)arg)->rabbit->publisher, content);
}

static void on_consume_content(void *arg, const struct link_content *content)
{
    struct rabbit *r = ((struct half *)arg)->rabbit;

    consumer_content(r->consumer, content);
    r->news = true;
}

static void on_publish_blocked(void *arg, const char *reason)
{
    struct rabbit *r = ((struct half *)arg)->rabbit;

    snprintf(r->blocked, sizeof r->blocked, "the broker takes no messages: %s",
             reason != NULL ? reason : "");
    if (reason == NULL)
        r->blocked[0] = '\0';
    publisher_blocked(r->publisher, reason);
    r->news = true;
}

/* A link that only consumes is never blocked (docs/field-notes.md#alarms). */
static void on_consume_blocked(void *arg, const char *reason)
{
    (void)arg;
    (void)reason;
}

static void on_publish_read(void *arg)
{
    struct half *h = arg;

    if (h->stirred)
        publisher_step(h->rabbit->publisher);
    h->stirred = false;
    rabbit_settle_down(h->rabbit);
}

static void on_consume_read(void *arg)
{
    struct half *h = arg;

    h->rabbit->heard = true;
    if (h->stirred)
        consumer_step(h->rabbit->consumer);
    h->rabbit->news = h->rabbit->news || consumer_pending(h->rabbit->consumer);
    if (h->stirred && declare_is_settled(h->declare))
        rabbit_end_wait(h->rabbit);
    h->stirred = false;
    rabbit_settle_down(h->rabbit);
}

void rabbit_part_closed(struct rabbit *r)
{
    if (--r->open > 0)
        return;
    r->state = RABBIT_STOPPED;
    r->done(r->done_arg);
}

static void on_link_closed(void *arg)
{
    rabbit_part_closed(((struct half *)arg)->rabbit);
}

const struct link_events rabbit_publish_events = {
    .up = on_publish_up,
    .down = on_publish_down,
    .method = on_publish_method,
    .content = on_publish_content,
    .blocked = on_publish_blocked,
    .read_done = on_publish_read,
    .closed = on_link_closed,
};

const struct link_events rabbit_consume_events = {
    .up = on_consume_up,
    .down = on_consume_down,
    .method = on_consume_method,
    .content = on_consume_content,
    .blocked = on_consume_blocked,
    .read_done = on_consume_read,
    .closed = on_link_closed,
};

/* Bindings went with the exchange, and the consuming link does not hear of it. */
void rabbit_exchange_gone(void *arg, const char *exchange)
{
    struct rabbit *r = arg;

    declare_exchange_again(r->consume.declare, exchange);
    declare_step(r->consume.declare);
    if (link_is_up(r->consume.link))
        link_flush(r->consume.link);
}

bool rabbit_half_is_up(const struct half *h)
{
    return !h->opened || link_is_up(h->link);
}
