/* rabbit_build - see rabbit_int.h. Makes the driver of its parts, and takes it apart. */
#include "rabbit/rabbit_int.h"

#include "wire/rabbitmq.h"
#include "wire/tcp.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    CONNECT_TIMEOUT_MS = 10 * 1000,
    WINDOW_MAX = 65536, /* window.h */
};

static void half_free(struct half *h)
{
    side_connections_free(&h->side);
    declare_free(&h->declare);
    channels_free(&h->channels);
    link_free(&h->link);
}

void rabbit_free(struct broker **b)
{
    struct rabbit *r;

    if (*b == NULL)
        return;
    r = (struct rabbit *)*b;
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
    r->armed_ms = r->bound_by_ms = r->dates_due_ms = INT64_MAX;
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
