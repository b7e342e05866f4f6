/* rabbit - see rabbit.h. What the engine calls, and the making of the whole. */
#include "rabbit/rabbit_int.h"

#include "wire/rabbitmq.h"
#include "wire/tcp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_TIMEOUT_MS = 10 * 1000,
    WINDOW_MAX = 65536, /* window.h */
};

static struct rabbit *rabbit_of(struct broker *b)
{
    return (struct rabbit *)b;
}

static void open_link(struct rabbit *r, struct half *h)
{
    h->opened = true;
    r->open++;
    link_open(h->link);
}

/* AMQP does not show bindings. A queue can be looked for by name; an exchange that was not there
 * until now has only the bindings that this router makes. */
static bool is_subscribed(const struct topology *t, const char *queue)
{
    for (size_t i = 0; i < t->n_subscriptions; i++)
        if (strcmp(t->subscriptions[i].queue, queue) == 0)
            return true;
    return false;
}

static bool is_bound(const struct topology *t, const char *exchange)
{
    for (size_t i = 0; i < t->n_subscriptions; i++)
        for (size_t k = 0; k < t->subscriptions[i].n_from; k++)
            if (strcmp(t->subscriptions[i].from[k].exchange, exchange) == 0)
                return true;
    return false;
}

static int plan_reach(struct rabbit *r, const struct topology *t, const struct destination *to,
                      struct err *err)
{
    if (to->kind != EXCHANGE_DEFAULT || is_subscribed(t, to->routing_key))
        return OK; /* an exchange is declared by whoever publishes */
    if (declare_target(r->publish.declare, to->routing_key) == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a queue");
    return OK;
}

static enum broker_reach reach(struct broker *b, const struct destination *to)
{
    struct rabbit *r = (struct rabbit *)b;
    const bool direct = to->kind == EXCHANGE_DEFAULT;
    const struct declare_item *item;

    if (direct ? is_subscribed(r->topology, to->routing_key) : is_bound(r->topology, to->exchange))
        return REACH_OPEN;
    item = direct ? declare_target(r->publish.declare, to->routing_key)
                  : declare_exchange(r->publish.declare, to, true);
    if (item == NULL)
        return REACH_OPEN;
    if (declare_state(item) == DECLARE_WAITING)
        return REACH_ASKING;
    return declare_state(item) == DECLARE_READY && declare_was_absent(item) ? REACH_NO_QUEUE
                                                                            : REACH_OPEN;
}

static int plan_destination(struct rabbit *r, const struct topology *t,
                            const struct destination *to, struct err *err)
{
    int rc = publisher_plan(r->publisher, to, err);

    return rc == OK ? plan_reach(r, t, to, err) : rc;
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

/* Nothing can fail any more. Publishing waits where the own queues have become others. */
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
        rabbit_begin_wait(r);
    else if (declare_is_settled(r->consume.declare))
        rabbit_end_wait(r); /* what was waited for is not wanted any more */
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
    rabbit_flush(r);
    r->news = true;
    rabbit_settle_down(r);
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

    rabbit_read_first(r);
    consumer_tell(r->consumer);
    publisher_tell(r->publisher);
    rabbit_flush(r);
    rabbit_settle_down(r);
}

static void rabbit_forget(struct broker *b)
{
    struct rabbit *r = rabbit_of(b);

    consumer_forget(r->consumer);
    publisher_forget(r->publisher);
    rabbit_flush(r); /* a new exchange may have asked for a channel */
    rabbit_settle_down(r);
}

static void rabbit_pace(struct broker *b, const char *queue, enum broker_pace pace)
{
    struct rabbit *r = rabbit_of(b);

    consumer_pace(r->consumer, queue, pace);
    rabbit_flush(r);
    rabbit_settle_down(r);
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
    rabbit_flush(r);
    rabbit_settle_down(r);
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
    rabbit_settle_down(r);
    return OK;
}

static void on_handle_closed(uv_handle_t *handle)
{
    rabbit_part_closed(handle->data);
}

static void rabbit_stop(struct broker *b, void (*done)(void *arg), void *arg)
{
    struct rabbit *r = rabbit_of(b);

    REQUIRE(r->state == RABBIT_RUNNING);
    r->state = RABBIT_STOPPING;
    r->done = done;
    r->done_arg = arg;
    rabbit_ack_now(r);
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

static void half_free(struct half *h)
{
    side_connections_free(&h->side);
    declare_free(&h->declare);
    channels_free(&h->channels);
    link_free(&h->link);
}

static void rabbit_free(struct broker **b)
{
    struct rabbit *r;

    if (*b == NULL)
        return;
    r = rabbit_of(*b);
    REQUIRE(r->state == RABBIT_NEW || r->state == RABBIT_STOPPED);
    publisher_free(&r->publisher);
    consumer_free(&r->consumer);
    half_free(&r->publish);
    half_free(&r->consume);
    tls_free(&r->tls);
    url_free(&r->url);
    free(r);
    *b = NULL;
}

static const struct broker_ops rabbit_ops = {
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
    .reach = reach,
    .trouble = rabbit_trouble,
    .renew = rabbit_renew,
    .drain = rabbit_drain,
    .stop = rabbit_stop,
    .free = rabbit_free,
};

static struct side_connections *new_side_connections(struct half *h,
                                                     const struct link_settings *link)
{
    const struct side_connections_settings settings = {
        .link = *link,
        .declare = h->declare,
        .opened = rabbit_side_opened,
        .closed = rabbit_side_closed,
        .stirred = rabbit_side_stirred,
        .arg = h,
    };

    return side_connections_new(&settings);
}

static int half_init(struct half *h, struct rabbit *r, const struct rabbit_settings *s,
                     const char *role, const struct link_events *events)
{
    char name[200];
    struct link_settings settings = {
        .loop = s->loop,
        .log = s->log,
        .clock = s->clock,
        .url = &r->url,
        .shuffled = true,
        .name = name,
        .heartbeat_s = r->url.heartbeat_s >= 0 ? r->url.heartbeat_s : s->heartbeat_s,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .backoff_min_ms = s->backoff_min_ms,
        .backoff_max_ms = s->backoff_max_ms,
        .body_max = MESSAGE_KEPT_MAX,
        .password_file = s->password_file,
        .streams = r->tls != NULL       ? tls_streams(r->tls)
                   : s->streams != NULL ? s->streams
                                        : &tcp_streams,
    };

    snprintf(name, sizeof name, "%s %s", s->name, role);
    h->rabbit = r;
    h->link = link_new(&settings, events, h);
    if (h->link == NULL)
        return ERR_NOMEM;
    h->channels = channels_new(h->link);
    if (h->channels == NULL)
        return ERR_NOMEM;
    h->declare = declare_new(h->channels, s->log, s->clock);
    if (h->declare == NULL)
        return ERR_NOMEM;
    h->side = new_side_connections(h, &settings);
    return h->side != NULL ? OK : ERR_NOMEM;
}

static struct publisher *make_publisher(struct rabbit *r, const struct rabbit_settings *s,
                                        struct err *err)
{
    const size_t window = s->window < 1 ? 1 : s->window;
    struct publisher_settings settings = {
        .link = r->publish.link,
        .channels = r->publish.channels,
        .log = s->log,
        .clock = s->clock,
        .declare = r->publish.declare,
        .window = window > WINDOW_MAX ? WINDOW_MAX : window,
        .confirm_timeout_ms = s->confirm_timeout_ms,
        .backoff_min_ms = s->backoff_min_ms,
        .backoff_max_ms = s->backoff_max_ms,
        .gone = rabbit_exchange_gone,
        .gone_arg = r,
    };

    return publisher_new(&settings, err);
}

static struct consumer *make_consumer(struct rabbit *r, const struct rabbit_settings *s)
{
    struct consumer_settings settings = {
        .link = r->consume.link,
        .channels = r->consume.channels,
        .log = s->log,
        .clock = s->clock,
        .declare = r->consume.declare,
        .backoff_min_ms = s->backoff_min_ms,
        .backoff_max_ms = s->backoff_max_ms,
        .bytes_max = s->prefetch_bytes,
        .rescue_after = s->rescue_after,
    };

    return consumer_new(&settings);
}

static int make_tls(struct rabbit *r, const struct rabbit_settings *s)
{
    if (!r->url.tls)
        return OK;
    r->tls = tls_new(s->tls, s->streams != NULL ? s->streams : &tcp_streams);
    return r->tls != NULL ? OK : ERR_NOMEM;
}

static int make_parts(struct rabbit *r, const struct rabbit_settings *s, struct err *err)
{
    int rc = make_tls(r, s);

    if (rc == OK)
        rc = half_init(&r->publish, r, s, "publish", &rabbit_publish_events);
    if (rc == OK)
        rc = half_init(&r->consume, r, s, "consume", &rabbit_consume_events);
    if (rc == OK)
        r->publisher = make_publisher(r, s, err);
    if (rc == OK)
        r->consumer = make_consumer(r, s);
    if (rc == OK && (r->publisher == NULL || r->consumer == NULL))
        rc = ERR_NOMEM;
    return rc == OK ? OK : err_set(err, rc, "out of memory for the broker's links");
}

int rabbit_check_url(const char *url, struct err *err)
{
    struct url parsed;
    int rc = url_parse(url, &parsed, err);

    if (rc == OK)
        url_free(&parsed);
    return rc;
}

int rabbit_new(struct broker **b, const struct rabbit_settings *s, struct err *err)
{
    struct rabbit *r = calloc(1, sizeof *r);
    int rc;

    *b = NULL;
    if (r == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for the broker's links");
    r->base.ops = &rabbit_ops;
    r->loop = s->loop;
    r->log = s->log;
    r->clock = s->clock;
    r->wake = s->wake;
    r->wake_arg = s->wake_arg;
    r->armed_ms = r->bound_by_ms = INT64_MAX;
    *b = &r->base;
    rc = url_parse(s->url, &r->url, err);
    if (rc == OK)
        rc = make_parts(r, s, err);
    if (rc != OK)
        rabbit_free(b);
    return rc;
}

const char *rabbit_tls_version(void)
{
    return tls_library_version();
}

const char *rabbit_codec_version(void)
{
    return amqp_version();
}
