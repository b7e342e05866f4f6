/*
 * link - see link.h for the states. What is true in each:
 *
 *   state      stream  timer                      leaves by
 *   IDLE       -       not on the loop            link_open
 *   CONNECT    yes     connect time-out           on_opened, fail
 *   HANDSHAKE  yes     handshake time-out         link_run, fail
 *   RUN        yes     heartbeats                 fail, link_break, link_close
 *   BROKEN     -       at once                    on_timer: fail
 *   WAIT       -       back-off                   on_timer: connect_next
 *   CLOSING    yes     patience with close-ok     finish
 *   CLOSED     -       being closed, then gone    -
 *
 * Calls from the owner never raise events: what must be told is told by the timer.
 */
#include "wire/link_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void connect_next(struct link *l);
static void fail(struct link *l, const struct err *why);

/* The table above, for debug builds. */
static void check(const struct link *l)
{
#ifndef NDEBUG
    bool streaming = l->state == LINK_CONNECT || l->state == LINK_HANDSHAKE ||
                     l->state == LINK_RUN || l->state == LINK_CLOSING;

    REQUIRE((l->stream != NULL) == streaming);
    REQUIRE(l->stream == NULL || l->streams > 0);
    REQUIRE(!l->blocked || l->state == LINK_RUN || l->state == LINK_CLOSING);
    REQUIRE(!l->ending || l->state == LINK_CLOSING || l->state == LINK_CLOSED);
#else
    (void)l;
#endif
}

const char *link_peer(const struct link *l, char out[static 300])
{
    const size_t host = host_order_host(&l->hosts);
    const char *name = l->settings.url->host[host].name;
    const unsigned port = l->settings.url->host[host].port;

    if (strchr(name, ':') != NULL)
        snprintf(out, 300, "[%s]:%u", name, port);
    else
        snprintf(out, 300, "%s:%u", name, port);
    return out;
}

static int64_t now_ms(const struct link *l)
{
    return clock_mono(&l->settings.clock);
}

static void on_timer(uv_timer_t *timer);

/* Fails only for a handle that is being closed, and then nothing is waited for. */
static void set_timer(struct link *l, int64_t ms)
{
    (void)uv_timer_start(&l->timer, on_timer, (uint64_t)ms, 0);
}

/* Lets the stream go, and all that belonged to its connection. */
static void drop_stream(struct link *l)
{
    struct stream *s = l->stream;

    if (s == NULL)
        return;
    l->stream = NULL;
    l->life++;
    l->blocked = false;
    frame_reader_reset(&l->reader);
    assemble_reset(&l->assemble);
    buf_clear(&l->out);
    s->ops->close(s);
}

static void tell_if_closed(struct link *l)
{
    if (l->ending && l->timer_closed && l->streams == 0)
        l->events->closed(l->arg); /* the owner may free the link in it */
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct link *l = handle->data;

    l->timer_closed = true;
    tell_if_closed(l);
}

static void finish(struct link *l)
{
    drop_stream(l);
    if (l->state == LINK_CLOSED)
        return;
    l->state = LINK_CLOSED;
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
    check(l);
}

/* The same failure again and again is told once as a warning. */
static void log_failure(struct link *l, const char *event, int64_t wait_ms)
{
    const uint64_t print = text_hash(TEXT_HASH_START, l->why.text, strlen(l->why.text));
    const bool news = print != l->logged;

    l->logged = print;
    log_event(l->settings.log, news ? LOG_WARN : LOG_DEBUG, event,
              LOG_FIELDS(log_text("link", l->name), log_text("error", l->why.text),
                         log_int("retry_ms", wait_ms)));
}

/* Any end of a connection, or of the try to make one. Called from the loop only. */
static void fail(struct link *l, const struct err *why)
{
    const bool was_up = l->state == LINK_RUN || l->state == LINK_BROKEN;
    const bool served = was_up && now_ms(l) - l->run_since_ms >= LINK_STEADY_MS;
    int64_t wait_ms;

    if (l->ending) {
        finish(l);
        return;
    }
    l->why = *why;
    drop_stream(l);
    if (served)
        l->failures = 0;
    /* It grows with every round over all hosts. */
    wait_ms = backoff_after(&l->backoff, l->failures++ / (unsigned)l->settings.url->n_hosts);
    host_order_failed(&l->hosts, served);
    l->state = LINK_WAIT;
    set_timer(l, wait_ms);
    check(l);
    log_failure(l, was_up ? "link.down" : "link.failed", wait_ms);
    if (was_up)
        l->events->down(l->arg, why);
}

/* As fail, but from inside a call of the owner: the event comes later. */
void link_break(struct link *l, const struct err *why)
{
    if (l->state != LINK_RUN)
        return;
    l->why = *why;
    l->state = LINK_BROKEN;
    drop_stream(l);
    set_timer(l, 0);
    check(l);
}

static void on_opened(void *arg)
{
    struct link *l = arg;
    struct err err;

    if (l->state != LINK_CONNECT)
        return;
    l->state = LINK_HANDSHAKE;
    set_timer(l, l->settings.connect_timeout_ms);
    heartbeat_start(&l->heartbeat, 0, now_ms(l));
    if (handshake_begin(l, &err) != OK)
        fail(l, &err);
    else
        link_flush(l);
}

/* Bytes that broke the rules are told apart from what the broker said in words. */
static void fail_read(struct link *l, struct err *err)
{
    char peer[300];

    if (err->code == ERR_INPUT)
        err_prefix(err, "%s broke the protocol", link_peer(l, peer));
    fail(l, err);
}

static void on_data(void *arg, const char *bytes, size_t len)
{
    struct link *l = arg;
    const uint64_t life = l->life;
    struct err err = {.code = OK};
    int rc;

    heartbeat_heard(&l->heartbeat, now_ms(l));
    if (l->state == LINK_HANDSHAKE && handshake_hears_tls(l, bytes, len, &err)) {
        fail(l, &err);
        return;
    }
    rc = frame_reader_feed(&l->reader, bytes, len, dispatch_frame, l, &err);
    if (l->life != life)
        return;
    if (rc != OK) {
        fail_read(l, &err);
        return;
    }
    if (l->state == LINK_RUN)
        l->events->read_done(l->arg);
    link_flush(l);
}

static void on_drained(void *arg)
{
    (void)arg; /* whoever waits for room looks at link_backlog */
}

static void on_failed(void *arg, const struct err *why)
{
    struct link *l = arg;
    struct err copy = *why;

    if (l->state == LINK_HANDSHAKE)
        handshake_explain(l, &copy);
    fail(l, &copy);
}

static void on_stream_closed(void *arg)
{
    struct link *l = arg;

    l->streams--;
    tell_if_closed(l);
}

static const struct stream_events stream_events = {
    .opened = on_opened,
    .data = on_data,
    .drained = on_drained,
    .failed = on_failed,
    .closed = on_stream_closed,
};

static void connect_next(struct link *l)
{
    const struct stream_factory *streams = l->settings.streams;
    const struct url *url = l->settings.url;
    const size_t host = host_order_host(&l->hosts);
    struct err err = {.code = OK};

    l->stream = streams->open(streams->arg, l->settings.loop, url->host[host].name,
                              url->host[host].port, &stream_events, l, &err);
    if (l->stream == NULL) {
        fail(l, &err);
        return;
    }
    l->streams++;
    l->state = LINK_CONNECT;
    set_timer(l, l->settings.connect_timeout_ms);
    check(l);
}

static void fail_late(struct link *l)
{
    const char *what = l->state != LINK_CONNECT ? "no handshake with"
                       : l->settings.url->tls   ? "no connection with TLS to"
                                                : "no connection to";
    struct err err;
    char peer[300];

    err_set(&err, ERR_IO, "%s %s within %lld ms", what, link_peer(l, peer),
            (long long)l->settings.connect_timeout_ms);
    fail(l, &err);
}

static void fail_dead(struct link *l)
{
    struct err err;
    char peer[300];

    err_set(&err, ERR_IO, "%s is silent: no bytes for two heartbeats of %lld s", link_peer(l, peer),
            (long long)l->heartbeat.interval_ms / 1000);
    fail(l, &err);
}

/* Bytes that are still under way are a sign of life of their own. */
static void send_heartbeat(struct link *l)
{
    struct err err;

    if (heartbeat_is_due(&l->heartbeat, now_ms(l)) && link_backlog(l) == 0 &&
        codec_heartbeat(&l->out, &err) == OK)
        link_flush(l);
}

/* The second look comes after a millisecond and so after one more poll for bytes. */
static void pulse(struct link *l)
{
    switch (heartbeat_judge(&l->heartbeat, now_ms(l))) {
    case HEARTBEAT_DEAD:
        fail_dead(l);
        return;
    case HEARTBEAT_LOOK_AGAIN:
        set_timer(l, 1);
        return;
    case HEARTBEAT_ALIVE:
        send_heartbeat(l);
        if (l->state == LINK_RUN)
            set_timer(l, heartbeat_period_ms(&l->heartbeat));
        return;
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct link *l = timer->data;
    struct err why = l->why;

    switch (l->state) {
    case LINK_CONNECT:
    case LINK_HANDSHAKE:
        fail_late(l);
        return;
    case LINK_RUN:
        pulse(l);
        return;
    case LINK_BROKEN:
        fail(l, &why);
        return;
    case LINK_WAIT:
        connect_next(l);
        return;
    case LINK_CLOSING:
        finish(l);
        return;
    case LINK_IDLE:
    case LINK_CLOSED:
        return;
    }
}

void link_run(struct link *l)
{
    char peer[300];

    l->state = LINK_RUN;
    l->run_since_ms = now_ms(l);
    l->why = (struct err){.code = OK};
    l->fault = 0;
    l->logged = 0;
    if (l->heartbeat.interval_ms > 0)
        set_timer(l, heartbeat_period_ms(&l->heartbeat));
    else
        (void)uv_timer_stop(&l->timer);
    check(l);
    log_event(l->settings.log, LOG_INFO, "link.up",
              LOG_FIELDS(log_text("link", l->name), log_text("peer", link_peer(l, peer)),
                         log_text("server", l->server), log_int("frame_max", l->frame_max),
                         log_int("heartbeat_s", l->heartbeat.interval_ms / 1000)));
    l->events->up(l->arg);
}

struct link *link_new(const struct link_settings *settings, const struct link_events *events,
                      void *arg)
{
    struct link *l = calloc(1, sizeof *l);
    const uint64_t seed = uv_hrtime() ^ (uint64_t)(uintptr_t)l;

    if (l == NULL)
        return NULL;
    l->name = strdup(settings->name);
    if (l->name == NULL) {
        free(l);
        return NULL;
    }
    l->settings = *settings;
    l->settings.name = l->name;
    l->events = events;
    l->arg = arg;
    host_order_init(&l->hosts, settings->url->n_hosts, settings->shuffled ? seed : 0);
    backoff_init(&l->backoff, settings->backoff_min_ms, settings->backoff_max_ms, seed);
    frame_reader_init(&l->reader);
    assemble_init(&l->assemble, settings->body_max);
    init_amqp_pool(&l->pool, LINK_POOL_PAGE);
    buf_init(&l->out, LINK_OUT_MAX);
    return l;
}

void link_free(struct link **link)
{
    struct link *l = *link;

    if (l == NULL)
        return;
    REQUIRE(l->state == LINK_IDLE || (l->state == LINK_CLOSED && l->timer_closed));
    frame_reader_free(&l->reader);
    assemble_free(&l->assemble);
    empty_amqp_pool(&l->pool);
    buf_free(&l->out);
    free(l->name);
    free(l);
    *link = NULL;
}

static void init_timer(struct link *l)
{
    l->timer.data = l;
    (void)uv_timer_init(l->settings.loop, &l->timer); /* cannot fail */
}

void link_open(struct link *l)
{
    REQUIRE(l->state == LINK_IDLE);
    init_timer(l);
    l->state = LINK_WAIT;
    set_timer(l, 0);
}

static void say_goodbye(struct link *l)
{
    amqp_connection_close_t close = {
        .reply_code = AMQP_REPLY_SUCCESS,
        .reply_text = amqp_cstring_bytes("herald stops"),
    };
    struct err err;

    l->state = LINK_CLOSING;
    set_timer(l, LINK_CLOSE_MS);
    if (codec_method(&l->out, 0, AMQP_CONNECTION_CLOSE_METHOD, &close, &err) == OK)
        link_flush(l);
    check(l);
}

void link_close(struct link *l)
{
    if (l->ending)
        return;
    l->ending = true;
    if (l->state == LINK_IDLE)
        init_timer(l); /* so that `closed` comes from the loop in any case */
    if (l->state == LINK_RUN)
        say_goodbye(l);
    else
        finish(l);
}

void link_restart(struct link *l, const char *why)
{
    struct err err;
    char peer[300];

    err_set(&err, ERR_INPUT, "connection to %s given up: %s", link_peer(l, peer), why);
    link_break(l, &err);
}

static int check_room(const struct link *l, struct err *err)
{
    size_t backlog;

    if (l->state != LINK_RUN)
        return err_set(err, ERR_CLOSED, "not connected to the broker");
    backlog = link_backlog(l);
    if (backlog < LINK_BACKLOG_MAX)
        return OK;
    return err_set(err, ERR_LIMIT, "%zu bytes wait for the broker to read them", backlog);
}

int link_send(struct link *l, uint16_t channel, amqp_method_number_t id, void *method,
              struct err *err)
{
    int rc = check_room(l, err);

    return rc == OK ? codec_method(&l->out, channel, id, method, err) : rc;
}

int link_publish(struct link *l, uint16_t channel, const char *exchange, const char *routing_key,
                 const struct message *m, struct err *err)
{
    int rc = check_room(l, err);

    return rc == OK ? codec_publish(&l->out, channel, exchange, routing_key, m, l->frame_max, err)
                    : rc;
}

int link_write(struct link *l, const void *frames, size_t len, struct err *err)
{
    int rc = check_room(l, err);

    if (rc != OK)
        return rc;
    rc = buf_append(&l->out, frames, len);
    l->out.failed = false;
    return rc == OK ? OK : err_set(err, rc, "no room for %zu bytes to the broker", len);
}

static int hand_over(struct link *l, struct err *err)
{
    const struct stream_ops *ops = l->stream->ops;

    if (ops->give != NULL)
        return ops->give(l->stream, &l->out, err);
    return ops->write(l->stream, l->out.data, l->out.len, err);
}

/* A stream that cannot write is dead and says so itself, or has no memory: then the
 * connection would lack these frames, so it must go. */
void link_flush(struct link *l)
{
    struct err err = {.code = OK};
    int rc;

    if (l->stream == NULL || l->state == LINK_CONNECT || l->out.len == 0)
        return;
    heartbeat_sent(&l->heartbeat, clock_mono(&l->settings.clock));
    rc = hand_over(l, &err);
    buf_clear(&l->out);
    if (l->out.cap > LINK_OUT_KEPT)
        buf_free(&l->out);
    if (rc != OK)
        link_break(l, &err);
}

size_t link_backlog(const struct link *l)
{
    return l->out.len + (l->stream != NULL ? l->stream->ops->backlog(l->stream) : 0);
}

bool link_is_up(const struct link *l)
{
    return l->state == LINK_RUN;
}

bool link_is_blocked(const struct link *l)
{
    return l->blocked;
}

const char *link_state_word(const struct link *l)
{
    static const char *const words[] = {
        [LINK_IDLE] = "idle",       [LINK_CONNECT] = "connecting", [LINK_HANDSHAKE] = "connecting",
        [LINK_RUN] = "up",          [LINK_BROKEN] = "waiting",     [LINK_WAIT] = "waiting",
        [LINK_CLOSING] = "closing", [LINK_CLOSED] = "closed",
    };

    return words[l->state];
}

const char *link_error(const struct link *l)
{
    return l->why.text;
}

uint32_t link_frame_max(const struct link *l)
{
    return l->frame_max;
}

uint16_t link_channel_max(const struct link *l)
{
    return l->channel_max;
}

const char *link_server(const struct link *l)
{
    return l->server;
}

amqp_method_number_t link_fault(const struct link *l)
{
    return l->fault;
}
