/* fake_broker - see fake_broker.h. */
#include "fake_broker.h"

#include "wire/assemble.h"
#include "wire/bytes.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAKE_CHANNELS = 2048, FAKE_MAX = 256 << 20 };

struct fake_conn {
    struct stream stream; /* must be first */
    struct fake_broker *broker;
    struct fake_conn *next; /* older ones */
    const struct stream_events *events;
    void *arg;
    uv_async_t pump;            /* everything happens in its callback: while the loop polls, as
                                   with a socket */
    uv_timer_t later;           /* looks again at what waits for a change of plan */
    int handles;                /* of the two, those not closed */
    bool opened;                /* the client was told */
    bool dead;                  /* the client was told that it failed */
    bool closing;               /* the client let go of it */
    bool cut;                   /* ends after `out` */
    bool greeted;               /* the client's protocol header came */
    bool told_gone;             /* the test knows that it ended */
    char name[128];             /* connection_name */
    size_t given;               /* bytes to the client so far */
    size_t taken;               /* bytes of the client that were heard so far */
    struct buf in;              /* from the client, not looked at yet */
    struct buf out;             /* to the client */
    struct frame_reader reader; /* cuts `in` */
    struct assemble assemble;   /* publishes */
    amqp_pool_t pool;
    bool confirming[FAKE_CHANNELS]; /* confirm.select was heard */
    uint64_t tag[FAKE_CHANNELS];    /* publishes on a confirming channel */
};

struct fake_broker {
    uv_loop_t *loop;
    struct fake_plan plan;
    struct stream_factory factory;
    struct fake_conn *conns; /* newest first */
    struct buf heard;        /* NUL-terminated text */
    size_t connects;
    size_t given;
    size_t taken;
};

static void note(struct fake_broker *b, uint16_t channel, const char *what)
{
    const char *space = b->heard.len > 0 ? " " : "";

    if (channel > 0)
        buf_printf(&b->heard, "%s%u:%s", space, (unsigned)channel, what);
    else
        buf_printf(&b->heard, "%s%s", space, what);
}

/* AMQP_QUEUE_DECLARE_OK_METHOD to "queue.declare-ok", "connection." left out. */
static void spell(amqp_method_number_t id, char *out, size_t size)
{
    const char *name = amqp_method_name(id);
    size_t n = 0;
    bool dot = false;

    for (const char *p = name + strlen("AMQP_"); strcmp(p, "_METHOD") != 0 && n + 1 < size; p++) {
        out[n] = (char)tolower((unsigned char)*p);
        if (*p == '_') {
            out[n] = dot ? '-' : '.';
            dot = true;
        }
        n++;
    }
    out[n] = '\0';
    if (strncmp(out, "connection.", 11) == 0)
        memmove(out, out + 11, n - 10);
}

static void wake(struct fake_conn *c)
{
    if (!c->closing)
        REQUIRE(uv_async_send(&c->pump) == 0);
}

static void on_later(uv_timer_t *timer)
{
    wake(timer->data);
}

void fake_raw(struct fake_conn *c, const void *bytes, size_t len)
{
    REQUIRE(buf_append(&c->out, bytes, len) == OK);
    wake(c);
}

void fake_send(struct fake_conn *c, uint16_t channel, amqp_method_number_t id, void *method)
{
    REQUIRE(codec_method(&c->out, channel, id, method, NULL) == OK);
    wake(c);
}

void fake_content(struct fake_conn *c, uint16_t channel, amqp_method_number_t id, void *method,
                  amqp_basic_properties_t *properties, struct slice body, size_t frame_max)
{
    size_t most = frame_max != 0 ? frame_max : c->broker->plan.frame_max;

    fake_send(c, channel, id, method);
    REQUIRE(codec_header(&c->out, channel, properties, body.len, NULL) == OK);
    REQUIRE(codec_body(&c->out, channel, body, most != 0 ? most : FRAME_MAX_START, NULL) == OK);
}

void fake_cut(struct fake_conn *c)
{
    c->cut = true;
    wake(c);
}

static void refuse(struct fake_conn *c, uint16_t code, const char *text)
{
    amqp_connection_close_t close = {.reply_code = code, .reply_text = amqp_cstring_bytes(text)};

    fake_send(c, 0, AMQP_CONNECTION_CLOSE_METHOD, &close);
}

static void say_start(struct fake_conn *c)
{
    const char *version = c->broker->plan.version;
    amqp_table_entry_t properties[] = {
        {.key = amqp_cstring_bytes("product")},
        {.key = amqp_cstring_bytes("version")},
    };
    amqp_connection_start_t start = {
        .version_major = 0,
        .version_minor = 9,
        .server_properties = {2, properties},
        .mechanisms = amqp_cstring_bytes(c->broker->plan.mechanisms),
        .locales = amqp_cstring_bytes("en_US"),
    };

    properties[0].value.kind = properties[1].value.kind = AMQP_FIELD_KIND_UTF8;
    properties[0].value.value.bytes = amqp_cstring_bytes(version != NULL ? "RabbitMQ" : "FakeMQ");
    properties[1].value.value.bytes = amqp_cstring_bytes(version != NULL ? version : "1.0");
    fake_send(c, 0, AMQP_CONNECTION_START_METHOD, &start);
}

static void keep_name(struct fake_conn *c, const amqp_table_t *properties)
{
    for (int i = 0; i < properties->num_entries; i++) {
        const amqp_table_entry_t *e = &properties->entries[i];

        if (e->key.len == strlen("connection_name") &&
            memcmp(e->key.bytes, "connection_name", e->key.len) == 0)
            snprintf(c->name, sizeof c->name, "%.*s", (int)e->value.value.bytes.len,
                     (const char *)e->value.value.bytes.bytes);
    }
}

static bool is_good_login(const struct fake_plan *plan, const amqp_connection_start_ok_t *ok)
{
    char want[256];
    int n = snprintf(want, sizeof want, "%c%s%c%s", 0, plan->user, 0, plan->password);

    if (ok->mechanism.len == 8 && memcmp(ok->mechanism.bytes, "EXTERNAL", 8) == 0)
        return plan->certificate && ok->response.len == 0;
    return ok->response.len == (size_t)n && memcmp(ok->response.bytes, want, (size_t)n) == 0;
}

static void on_start_ok(struct fake_conn *c, const amqp_connection_start_ok_t *ok)
{
    const struct fake_plan *plan = &c->broker->plan;
    amqp_connection_tune_t tune = {plan->channel_max, plan->frame_max, plan->heartbeat_s};

    keep_name(c, &ok->client_properties);
    if (is_good_login(plan, ok))
        fake_send(c, 0, AMQP_CONNECTION_TUNE_METHOD, &tune);
    else if (plan->hang_up)
        fake_cut(c);
    else
        refuse(c, 403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN");
}

static void on_open(struct fake_conn *c, const amqp_connection_open_t *open)
{
    const char *vhost = c->broker->plan.vhost;
    amqp_connection_open_ok_t ok = {.known_hosts = amqp_empty_bytes};

    if (open->virtual_host.len == strlen(vhost) &&
        memcmp(open->virtual_host.bytes, vhost, strlen(vhost)) == 0)
        fake_send(c, 0, AMQP_CONNECTION_OPEN_OK_METHOD, &ok);
    else
        refuse(c, 530, "NOT_ALLOWED - vhost not found");
}

static void on_queue_declare(struct fake_conn *c, uint16_t channel,
                             const amqp_queue_declare_t *declare)
{
    static const char dead[] = ".herald-dead";
    const size_t len = sizeof dead - 1;
    const char *end = (const char *)declare->queue.bytes + declare->queue.len;
    amqp_queue_declare_ok_t ok = {.queue = declare->queue};
    amqp_channel_close_t absent = {.reply_code = 404,
                                   .reply_text = amqp_cstring_bytes("NOT_FOUND - no queue")};

    if (declare->passive && !c->broker->plan.dead_queues && declare->queue.len > len &&
        memcmp(end - len, dead, len) == 0)
        fake_send(c, channel, AMQP_CHANNEL_CLOSE_METHOD, &absent);
    else
        fake_send(c, channel, AMQP_QUEUE_DECLARE_OK_METHOD, &ok);
}

static void on_consume(struct fake_conn *c, uint16_t channel, const amqp_basic_consume_t *consume)
{
    amqp_basic_consume_ok_t ok = {.consumer_tag = consume->consumer_tag};

    if (ok.consumer_tag.len == 0)
        ok.consumer_tag = amqp_cstring_bytes("fake-consumer");
    fake_send(c, channel, AMQP_BASIC_CONSUME_OK_METHOD, &ok);
}

/* Methods whose answer holds nothing but itself: the -ok has the next number. */
static void answer_plainly(struct fake_conn *c, uint16_t channel, amqp_method_number_t id)
{
    uint64_t nothing[8] = {0}; /* as large as any of their structs */

    if (channel < FAKE_CHANNELS && id == AMQP_CONFIRM_SELECT_METHOD)
        c->confirming[channel] = true;
    if (channel < FAKE_CHANNELS && id == AMQP_CHANNEL_OPEN_METHOD) {
        c->confirming[channel] = false;
        c->tag[channel] = 0;
    }
    fake_send(c, channel, id + 1, nothing);
}

static void answer(struct fake_conn *c, uint16_t channel, const amqp_method_t *m)
{
    switch (m->id) {
    case AMQP_CONNECTION_START_OK_METHOD:
        on_start_ok(c, m->decoded);
        return;
    case AMQP_CONNECTION_OPEN_METHOD:
        on_open(c, m->decoded);
        return;
    case AMQP_QUEUE_DECLARE_METHOD:
        on_queue_declare(c, channel, m->decoded);
        return;
    case AMQP_BASIC_CONSUME_METHOD:
        on_consume(c, channel, m->decoded);
        return;
    case AMQP_BASIC_CANCEL_METHOD: {
        const amqp_basic_cancel_t *cancel = m->decoded;
        amqp_basic_cancel_ok_t ok = {.consumer_tag = cancel->consumer_tag};

        fake_send(c, channel, AMQP_BASIC_CANCEL_OK_METHOD, &ok);
        return;
    }
    case AMQP_CONNECTION_CLOSE_METHOD:
    case AMQP_CHANNEL_OPEN_METHOD:
    case AMQP_CHANNEL_CLOSE_METHOD:
    case AMQP_CONFIRM_SELECT_METHOD:
    case AMQP_BASIC_QOS_METHOD:
    case AMQP_EXCHANGE_DECLARE_METHOD:
    case AMQP_EXCHANGE_BIND_METHOD:
    case AMQP_QUEUE_BIND_METHOD:
    case AMQP_QUEUE_PURGE_METHOD:
    case AMQP_QUEUE_DELETE_METHOD:
        answer_plainly(c, channel, m->id);
        return;
    default:
        return; /* tune-ok, the -oks, acks: nothing to say */
    }
}

static int on_method(struct fake_conn *c, const struct frame *f, struct err *err)
{
    const struct fake_plan *plan = &c->broker->plan;
    amqp_method_t m;
    char word[64];
    int rc = codec_decode_method(f->payload, &c->pool, &m, err);

    if (rc != OK)
        return rc;
    if (codec_has_content(m.id))
        return assemble_method(&c->assemble, f, err);
    spell(m.id, word, sizeof word);
    note(c->broker, f->channel, word);
    if (plan->hooks.method != NULL && plan->hooks.method(plan->arg, c, f->channel, &m))
        return OK;
    if (!plan->silent)
        answer(c, f->channel, &m);
    return OK;
}

static void on_publish(struct fake_conn *c, uint16_t channel, struct fake_publish *p)
{
    const struct fake_plan *plan = &c->broker->plan;
    char word[700];

    if (channel < FAKE_CHANNELS && c->confirming[channel])
        p->tag = ++c->tag[channel];
    snprintf(word, sizeof word, "basic.publish(%.*s/%.*s #%.*s)", (int)p->exchange.len,
             p->exchange.data, (int)p->routing_key.len, p->routing_key.data,
             (int)p->properties->message_id.len, (const char *)p->properties->message_id.bytes);
    note(c->broker, channel, word);
    if (plan->hooks.publish != NULL)
        plan->hooks.publish(plan->arg, c, channel, p);
    if (plan->confirm && p->tag != 0) {
        amqp_basic_ack_t ack = {.delivery_tag = p->tag, .multiple = 0};

        fake_send(c, channel, AMQP_BASIC_ACK_METHOD, &ack);
    }
}

static int on_content(struct fake_conn *c, const struct frame *f, struct err *err)
{
    struct fake_publish p = {.tag = 0};
    struct err fault = {.code = OK};
    struct slice damaged;
    const amqp_basic_publish_t *publish;
    struct assembled a;
    amqp_method_t m;
    bool whole;
    int rc = assemble_frame(&c->assemble, f, &a, &whole, err);

    if (rc != OK || !whole)
        return rc;
    rc = codec_decode_method(a.method, &c->pool, &m, err);
    if (rc == OK)
        rc = codec_decode_properties(a.header, &c->pool, &p.properties, &damaged, &fault, err);
    if (rc != OK)
        return rc;
    publish = m.decoded;
    p.exchange = (struct slice){publish->exchange.bytes, publish->exchange.len};
    p.routing_key = (struct slice){publish->routing_key.bytes, publish->routing_key.len};
    p.body = a.body;
    on_publish(c, f->channel, &p);
    assemble_done(&c->assemble, f->channel);
    return OK;
}

static int on_frame(void *arg, const struct frame *f, struct err *err)
{
    struct fake_conn *c = arg;
    int rc = OK;

    if (f->type == FRAME_METHOD)
        rc = on_method(c, f, err);
    else if (f->type == FRAME_HEARTBEAT)
        note(c->broker, 0, "heartbeat");
    else
        rc = on_content(c, f, err);
    recycle_amqp_pool(&c->pool);
    return rc;
}

static size_t min_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Takes what the client said, but for what is lost behind the place of the cut. */
static void hear(struct fake_conn *c, struct buf *in)
{
    size_t most = c->broker->plan.cut_heard;

    *in = c->in;
    buf_init(&c->in, FAKE_MAX); /* hooks may run the client's code */
    if (most != 0) {
        in->len = min_of(in->len, most > c->taken ? most - c->taken : 0);
        c->cut = c->cut || c->taken + in->len >= most;
    }
    c->taken += in->len;
    c->broker->taken += in->len;
}

/* A client of ours that sends nonsense is a bug. Deafness may end by a change of plan,
 * so it is looked at again. */
static void take_in(struct fake_conn *c)
{
    struct err err = {.code = OK};
    struct buf in;
    size_t at = 0;

    if (c->broker->plan.deaf)
        return;
    hear(c, &in);
    if (!c->greeted && in.len < 8) { /* it comes in one piece, or is cut */
        REQUIRE(c->cut);
        buf_free(&in);
        return;
    }
    if (!c->greeted) {
        REQUIRE(memcmp(in.data, "AMQP\0\0\x09\x01", 8) == 0);
        c->greeted = true;
        at = 8;
        if (!c->broker->plan.silent)
            say_start(c);
    }
    if (frame_reader_feed(&c->reader, in.data + at, in.len - at, on_frame, c, &err) != OK)
        err_bug(err.text, __FILE__, __LINE__);
    buf_free(&in);
    if (!c->closing)
        c->events->drained(c->arg);
}

static void tell_gone(struct fake_conn *c)
{
    const struct fake_plan *plan = &c->broker->plan;

    if (!c->told_gone && plan->hooks.gone != NULL)
        plan->hooks.gone(plan->arg, c);
    c->told_gone = true;
}

static void die(struct fake_conn *c, const char *words)
{
    struct err why;

    c->dead = true;
    tell_gone(c);
    err_set(&why, ERR_CLOSED, "%s", words);
    c->events->failed(c->arg, &why);
}

/* The bytes of one data event lie in memory of their own, of just their size, so that
 * a sanitizer sees who reads beyond or keeps them. */
static void give_out(struct fake_conn *c)
{
    const struct fake_plan *plan = &c->broker->plan;
    size_t n = plan->chunk != 0 ? min_of(plan->chunk, c->out.len) : c->out.len;
    char *bytes;

    if (plan->cut_after != 0)
        n = min_of(n, plan->cut_after - c->given);
    if (n > 0) {
        bytes = malloc(n);
        REQUIRE(bytes != NULL);
        memcpy(bytes, c->out.data, n);
        buf_consume(&c->out, n);
        c->given += n;
        c->broker->given += n;
        c->events->data(c->arg, bytes, n);
        free(bytes);
    }
    if (!c->closing && plan->cut_after != 0 && c->given >= plan->cut_after)
        die(c, "fake:5672 closed the connection");
}

static void on_pump(uv_async_t *async)
{
    struct fake_conn *c = async->data;
    bool mute;

    if (c->closing || c->dead)
        return;
    if (!c->opened) {
        c->opened = true;
        if (c->broker->plan.refuse)
            die(c, "cannot connect to fake:5672: connection refused");
        else
            c->events->opened(c->arg);
        return;
    }
    if (c->in.len > 0)
        take_in(c);
    mute = c->broker->plan.mute;
    if (!c->closing && c->out.len > 0 && !mute)
        give_out(c);
    if (c->closing || c->dead)
        return;
    if (c->out.len > 0 && !mute)
        wake(c);
    else if (c->out.len > 0 || (c->in.len > 0 && c->broker->plan.deaf))
        uv_timer_start(&c->later, on_later, 1, 0);
    else if (c->cut)
        die(c, "fake:5672 closed the connection");
}

static struct fake_conn *conn_of(struct stream *s)
{
    return (struct fake_conn *)(void *)s;
}

static int fake_write(struct stream *s, const char *bytes, size_t len, struct err *err)
{
    struct fake_conn *c = conn_of(s);

    REQUIRE(!c->closing && c->opened);
    if (c->dead)
        return err_set(err, ERR_CLOSED, "not connected");
    REQUIRE(buf_append(&c->in, bytes, len) == OK);
    wake(c);
    return OK;
}

static size_t fake_backlog(const struct stream *s)
{
    return ((const struct fake_conn *)(const void *)s)->in.len;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct fake_conn *c = handle->data;
    const struct stream_events *events = c->events;
    void *arg = c->arg;

    if (--c->handles > 0)
        return;
    for (struct fake_conn **p = &c->broker->conns; *p != NULL; p = &(*p)->next) {
        if (*p == c) {
            *p = c->next;
            break;
        }
    }
    buf_free(&c->in);
    buf_free(&c->out);
    frame_reader_free(&c->reader);
    assemble_free(&c->assemble);
    empty_amqp_pool(&c->pool);
    free(c);
    events->closed(arg);
}

static void fake_close(struct stream *s)
{
    struct fake_conn *c = conn_of(s);

    REQUIRE(!c->closing);
    c->closing = true;
    tell_gone(c);
    uv_close((uv_handle_t *)&c->pump, on_handle_closed);
    uv_close((uv_handle_t *)&c->later, on_handle_closed);
}

static const struct stream_ops fake_ops = {
    .write = fake_write,
    .backlog = fake_backlog,
    .close = fake_close,
};

static struct stream *fake_open(void *arg, uv_loop_t *loop, const char *host, uint16_t port,
                                const struct stream_events *events, void *events_arg,
                                struct err *err)
{
    struct fake_broker *b = arg;
    struct fake_conn *c = calloc(1, sizeof *c);

    (void)host, (void)port, (void)err;
    REQUIRE(c != NULL && loop == b->loop);
    c->stream.ops = &fake_ops;
    c->broker = b;
    c->events = events;
    c->arg = events_arg;
    c->next = b->conns;
    b->conns = c;
    b->connects++;
    buf_init(&c->in, FAKE_MAX);
    buf_init(&c->out, FAKE_MAX);
    frame_reader_init(&c->reader);
    c->reader.frame_max = FRAME_MAX_MOST;
    assemble_init(&c->assemble, FAKE_MAX);
    init_amqp_pool(&c->pool, 4096);
    c->handles = 2;
    c->pump.data = c->later.data = c;
    uv_timer_init(loop, &c->later);
    REQUIRE(uv_async_init(loop, &c->pump, on_pump) == 0);
    wake(c);
    return &c->stream;
}

struct fake_broker *fake_broker_new(uv_loop_t *loop)
{
    struct fake_broker *b = calloc(1, sizeof *b);

    REQUIRE(b != NULL);
    b->loop = loop;
    b->plan = (struct fake_plan){
        .user = "guest",
        .password = "guest",
        .vhost = "/",
        .mechanisms = "AMQPLAIN PLAIN",
        .channel_max = 2047,
        .frame_max = 131072,
    };
    b->factory = (struct stream_factory){.open = fake_open, .arg = b};
    buf_init(&b->heard, FAKE_MAX);
    return b;
}

void fake_broker_free(struct fake_broker **b)
{
    if (*b == NULL)
        return;
    REQUIRE((*b)->conns == NULL);
    buf_free(&(*b)->heard);
    free(*b);
    *b = NULL;
}

struct fake_plan *fake_plan(struct fake_broker *b)
{
    return &b->plan;
}

const struct stream_factory *fake_broker_streams(struct fake_broker *b)
{
    return &b->factory;
}

/* A timer of its own wakes the loop up, so that a condition on time is seen, too. */
static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

bool fake_until(struct fake_broker *b, fake_condition *condition, void *arg, int ms)
{
    const uint64_t end = uv_hrtime() + (uint64_t)ms * 1000000;
    uv_timer_t tick;
    bool held;

    uv_timer_init(b->loop, &tick);
    uv_timer_start(&tick, on_tick, 1, 1);
    while (!(held = condition(arg)) && uv_hrtime() < end)
        uv_run(b->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(b->loop, UV_RUN_NOWAIT);
    return held;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

void fake_run(struct fake_broker *b, int ms)
{
    fake_until(b, never, NULL, ms);
}

const char *fake_heard(const struct fake_broker *b)
{
    return b->heard.len > 0 ? b->heard.data : "";
}

void fake_forget(struct fake_broker *b)
{
    buf_clear(&b->heard);
}

size_t fake_connects(const struct fake_broker *b)
{
    return b->connects;
}

size_t fake_given(const struct fake_broker *b)
{
    return b->given;
}

size_t fake_taken(const struct fake_broker *b)
{
    return b->taken;
}

struct fake_conn *fake_conn(struct fake_broker *b, const char *name)
{
    for (struct fake_conn *c = b->conns; c != NULL; c = c->next)
        if (!c->closing && !c->dead && (name == NULL || strstr(c->name, name) != NULL))
            return c;
    return NULL;
}

const char *fake_name(const struct fake_conn *c)
{
    return c->name;
}
