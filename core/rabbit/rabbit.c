/* rabbit - see rabbit.h. What the engine calls; which event of which link concerns whom; and one
 * timer for all that waits. */
#include "rabbit/channel.h"
#include "rabbit/rabbit_int.h"

#include <stdio.h>

enum {
    BOUND_WAIT_MS = 10 * 1000,   /* patience with the consuming link */
    DATES_MS = 24 * 3600 * 1000, /* between two looks at our certificate's end */
    LONG_TURN_MS = 100,          /* in so long a broker may have cancelled a consumer, unheard */
};

static struct rabbit *rabbit_of(struct broker *b)
{
    return (struct rabbit *)b;
}

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
                            r->bound_by_ms,
                            r->dates_due_ms};
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
static void conclude(struct rabbit *r)
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

static void flush(struct rabbit *r)
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
static void begin_wait(struct rabbit *r)
{
    r->bound = false;
    r->bound_by_ms =
        link_is_up(r->publish.link) ? clock_mono(&r->clock) + BOUND_WAIT_MS : INT64_MAX;
}

static void end_wait(struct rabbit *r)
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
    if (declare_is_answered(r->consume.declare))
        end_wait(r);
    flush(r);
    r->news = true;
    conclude(r);
}

static void tell_date(void *arg, bool error, const char *text)
{
    const struct rabbit *r = arg;

    log_event(r->log, error ? LOG_ERROR : LOG_WARN, "broker.certificate",
              LOG_FIELDS(log_text("why", text)));
}

/* The broker refuses one that has expired, and whoever can have another made must know before. */
static void judge_dates(struct rabbit *r)
{
    if (r->dates_due_ms > clock_mono(&r->clock))
        return;
    r->dates_due_ms = clock_mono(&r->clock) + DATES_MS;
    tls_judge_dates(r->tls, tell_date, r);
}

static void judge(struct rabbit *r)
{
    r->overdue = false;
    judge_dates(r);
    if (r->bound_by_ms <= clock_mono(&r->clock))
        end_wait(r);
    step_all(r);
}

/* A link or a handle is closed for good; the last one ends the stop. */
static void part_closed(struct rabbit *r)
{
    if (--r->open > 0)
        return;
    r->state = RABBIT_STOPPED;
    r->done(r->done_arg);
}

void rabbit_side_opened(void *half)
{
    ((struct half *)half)->rabbit->open++;
}

void rabbit_side_closed(void *half)
{
    struct rabbit *r = ((struct half *)half)->rabbit;

    if (r->state == RABBIT_RUNNING)
        conclude(r); /* its place is free for another */
    part_closed(r);
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

static void ack_now(struct rabbit *r)
{
    r->acks_wait = false;
    consumer_let_acks_wait(r->consumer, false);
    let_it_sleep(r);
}

static void on_after_read(uv_check_t *check)
{
    struct rabbit *r = check->data;

    if (r->overdue)
        judge(r);
    if (r->acks_wait && !r->heard) {
        ack_now(r);
        flush(r);
        conclude(r);
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

static void read_first(struct rabbit *r)
{
    if (unread_ms(r) < LONG_TURN_MS)
        return;
    r->acks_wait = true;
    consumer_let_acks_wait(r->consumer, true);
    look_after_read(r);
    r->heard = true; /* so that at least what the next poll finds is read first */
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
    conclude(r);
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
    conclude(r);
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

static void on_publish_content(void *arg, const struct codec_content *content)
{
    publisher_content(((struct half *)arg)->rabbit->publisher, content);
}

static void on_consume_content(void *arg, const struct codec_content *content)
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
    conclude(h->rabbit);
}

static void on_consume_read(void *arg)
{
    struct half *h = arg;

    h->rabbit->heard = true;
    if (h->stirred)
        consumer_step(h->rabbit->consumer);
    h->rabbit->news = h->rabbit->news || consumer_pending(h->rabbit->consumer);
    if (h->stirred && declare_is_answered(h->declare))
        end_wait(h->rabbit);
    h->stirred = false;
    conclude(h->rabbit);
}

static void on_link_closed(void *arg)
{
    part_closed(((struct half *)arg)->rabbit);
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

static void open_link(struct rabbit *r, struct half *h)
{
    h->opened = true;
    r->open++;
    link_open(h->link);
}

static int plan_destination(struct rabbit *r, const struct topology *t,
                            const struct destination *to, struct err *err)
{
    int rc = publisher_plan(r->publisher, to, err);

    return rc == OK ? rabbit_plan_reach(r, t, to, err) : rc;
}

static int plan(struct rabbit *r, const struct topology *t, struct err *err)
{
    int rc = OK;

    declare_plan(r->publish.declare);
    declare_plan(r->consume.declare);
    for (size_t i = 0; rc == OK && i < t->n_routes; i++)
        for (size_t j = 0; rc == OK && j < t->routes[i].n_to; j++)
            rc = plan_destination(r, t, &t->routes[i].to[j], err);
    if (rc == OK)
        rc = consumer_plan(r->consumer, t->subscriptions, t->n_subscriptions, err);
    return rc;
}

static void abandon(struct rabbit *r)
{
    consumer_abandon(r->consumer);
    declare_abandon(r->publish.declare);
    declare_abandon(r->consume.declare);
}

/* Nothing can fail from here on. Where this router's own queues have changed, publishing waits for
 * them. */
static void adopt(struct rabbit *r, const struct topology *t)
{
    bool fresh;

    r->topology = t;
    declare_adopt(r->publish.declare);
    fresh = declare_adopt(r->consume.declare);
    consumer_adopt(r->consumer);
    if (t->n_subscriptions > 0 && !r->consume.opened)
        open_link(r, &r->consume);
    if (fresh)
        begin_wait(r);
    else if (declare_is_answered(r->consume.declare))
        end_wait(r); /* what was waited for is not wanted any more */
}

static int rabbit_start(struct broker *b, const struct topology *t, struct err *err)
{
    struct rabbit *r = rabbit_of(b);
    int rc;

    REQUIRE(r->state == RABBIT_NEW);
    rc = plan(r, t, err);
    if (rc == OK && uv_timer_init(r->loop, &r->timer) != 0)
        rc = err_set(err, ERR_FAILED, "no timer for the broker's links");
    if (rc != OK) {
        abandon(r);
        return rc;
    }
    uv_check_init(r->loop, &r->after_read); /* as the next, only links it into the loop */
    uv_idle_init(r->loop, &r->no_sleep);
    r->timer.data = r->after_read.data = r->no_sleep.data = r;
    r->open = 3;
    r->state = RABBIT_RUNNING;
    r->bound = true;
    if (r->tls != NULL)
        r->dates_due_ms = clock_mono(&r->clock);
    open_link(r, &r->publish);
    adopt(r, t);
    return OK;
}

static int rabbit_change(struct broker *b, const struct topology *t, struct err *err)
{
    struct rabbit *r = rabbit_of(b);
    int rc;

    REQUIRE(r->state == RABBIT_RUNNING);
    rc = plan(r, t, err);
    if (rc != OK) {
        abandon(r);
        return rc;
    }
    adopt(r, t);
    publisher_step(r->publisher);
    consumer_step(r->consumer);
    flush(r);
    r->news = true;
    conclude(r);
    return OK;
}

static size_t rabbit_room(struct broker *b)
{
    struct rabbit *r = rabbit_of(b);

    return r->bound ? publisher_room(r->publisher) : 0;
}

static int rabbit_take(struct broker *b, struct delivery **out, size_t max, size_t *n_out,
                       struct err *err)
{
    (void)err; /* what was gathered is in memory: nothing can fail */
    *n_out = consumer_take(rabbit_of(b)->consumer, out, max);
    return OK;
}

static size_t rabbit_take_endangered(struct broker *b, struct delivery **out, size_t max)
{
    return consumer_take_endangered(rabbit_of(b)->consumer, out, max);
}

static int rabbit_accept(struct broker *b, struct delivery *d, struct err *err)
{
    (void)err; /* as in take */
    consumer_accept(rabbit_of(b)->consumer, d);
    return OK;
}

static int rabbit_publish(struct broker *b, int64_t row, const struct destination *to,
                          const struct message *m, struct err *err)
{
    struct rabbit *r = rabbit_of(b);

    if (!r->bound)
        return err_set(err, ERR_BUSY, "the router's own queues are being declared");
    return publisher_publish(r->publisher, row, to, m, err);
}

static size_t rabbit_settled(struct broker *b, struct settlement *out, size_t max)
{
    return publisher_settled(rabbit_of(b)->publisher, out, max);
}

/* Acks first: they are short, and free the broker's prefetch at once. */
static void rabbit_tell(struct broker *b)
{
    struct rabbit *r = rabbit_of(b);

    read_first(r);
    consumer_tell(r->consumer);
    publisher_tell(r->publisher);
    flush(r);
    conclude(r);
}

static void rabbit_forget(struct broker *b)
{
    struct rabbit *r = rabbit_of(b);

    consumer_forget(r->consumer);
    publisher_forget(r->publisher);
    flush(r); /* a new exchange may have asked for a channel */
    conclude(r);
}

static void rabbit_pace(struct broker *b, const char *queue, enum broker_pace pace)
{
    struct rabbit *r = rabbit_of(b);

    consumer_pace(r->consumer, queue, pace);
    flush(r);
    conclude(r);
}

static bool rabbit_pending(struct broker *b)
{
    struct rabbit *r = rabbit_of(b);

    return consumer_pending(r->consumer) || publisher_pending(r->publisher);
}

static void rabbit_drain(struct broker *b)
{
    struct rabbit *r = rabbit_of(b);

    consumer_drain(r->consumer);
    flush(r);
    conclude(r);
}

static void renew_half(const struct rabbit *r, const struct half *h)
{
    if (link_is_up(h->link) && h->tls_files != tls_there(r->tls))
        link_restart(h->link, "the files of `tls` have changed");
}

static int rabbit_renew(struct broker *b, struct err *err)
{
    struct rabbit *r = rabbit_of(b);
    int rc;

    if (r->state != RABBIT_RUNNING || r->tls == NULL)
        return OK;
    rc = tls_look(r->tls, err);
    if (rc != OK)
        return rc;
    renew_half(r, &r->publish);
    renew_half(r, &r->consume);
    conclude(r);
    return OK;
}

static void on_handle_closed(uv_handle_t *handle)
{
    part_closed(handle->data);
}

static void rabbit_stop(struct broker *b, void (*done)(void *arg), void *arg)
{
    struct rabbit *r = rabbit_of(b);

    REQUIRE(r->state == RABBIT_RUNNING);
    r->state = RABBIT_STOPPING;
    r->done = done;
    r->done_arg = arg;
    ack_now(r);
    link_close(r->publish.link);
    if (r->consume.opened)
        link_close(r->consume.link);
    side_connections_close(r->publish.side);
    side_connections_close(r->consume.side);
    /* The last to close, or at least never before the loop runs again: so done does
     * not come from inside this call. */
    uv_close((uv_handle_t *)&r->after_read, on_handle_closed);
    uv_close((uv_handle_t *)&r->no_sleep, on_handle_closed);
    uv_close((uv_handle_t *)&r->timer, on_handle_closed);
}

const struct broker_ops rabbit_ops = {
    .start = rabbit_start,
    .change = rabbit_change,
    .room = rabbit_room,
    .take = rabbit_take,
    .take_endangered = rabbit_take_endangered,
    .accept = rabbit_accept,
    .publish = rabbit_publish,
    .settled = rabbit_settled,
    .tell = rabbit_tell,
    .forget = rabbit_forget,
    .pace = rabbit_pace,
    .pending = rabbit_pending,
    .state = rabbit_report,
    .reach = rabbit_reach,
    .trouble = rabbit_trouble,
    .renew = rabbit_renew,
    .drain = rabbit_drain,
    .stop = rabbit_stop,
    .free = rabbit_free,
};
