/* fake_queue - see fake_queue.h. */
#include "fake_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned fake_dice(uint64_t *seed, unsigned n)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return (unsigned)((*seed * UINT64_C(2685821657736338717)) >> 33) % n;
}

static bool chance(struct fake_queue *q, unsigned percent)
{
    return percent > 0 && fake_dice(&q->dice, 100) < percent;
}

static bool bytes_are(amqp_bytes_t bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.bytes, text, bytes.len) == 0;
}

static void send_message(struct fake_consumer *c, struct fake_message *m)
{
    amqp_basic_deliver_t d = {.consumer_tag = amqp_cstring_bytes("herald"),
                              .delivery_tag = ++c->tag,
                              .redelivered = m->deliveries > 0,
                              .exchange = amqp_cstring_bytes("x")};
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_CONTENT_TYPE_FLAG,
        .type = amqp_cstring_bytes(m->type),
        .content_type = amqp_cstring_bytes("application/json"),
    };

    if (m->id[0] != '\0') {
        properties._flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
        properties.message_id = amqp_cstring_bytes(m->id);
    }
    m->state = FAKE_UNACKED;
    m->on = c->on;
    m->channel = c->channel;
    m->tag = c->tag;
    m->deliveries++;
    fake_content(c->on, c->channel, AMQP_BASIC_DELIVER_METHOD, &d, &properties, slice_of(m->body),
                 0);
}

static struct fake_message *add(struct fake_queue *q, size_t queue)
{
    struct fake_message *m = &q->messages[q->n_messages++];

    REQUIRE(q->n_messages <= FAKE_MESSAGES);
    m->queue = queue;
    return m;
}

/* A second copy of what is under way: a message of its own from now on. */
static void send_copy(struct fake_queue *q, struct fake_consumer *c, const struct fake_message *m)
{
    struct fake_message *copy = add(q, m->queue);

    *copy = *m;
    send_message(c, copy);
}

static struct fake_consumer *consumer_of(struct fake_queue *q, size_t queue)
{
    for (size_t i = 0; i < FAKE_QUEUES * 2; i++) {
        struct fake_consumer *c = &q->consumers[i];

        if (c->on != NULL && c->queue == queue && !c->cancelled && !c->closed)
            return c;
    }
    return NULL;
}

static void deliver(struct fake_queue *q, size_t queue)
{
    struct fake_consumer *c = consumer_of(q, queue);
    size_t n = q->n_messages, from = 0;

    if (c == NULL || n == 0)
        return;
    if (q->shuffle)
        from = fake_dice(&q->dice, (unsigned)n);
    for (size_t i = 0; i < n; i++) {
        struct fake_message *m = &q->messages[(from + i) % n];

        if (m->queue != queue || m->state != FAKE_READY)
            continue;
        send_message(c, m);
        if (chance(q, q->twice))
            send_copy(q, c, m);
    }
}

/* What was held on a channel waits again; channel 0: of the whole connection. */
static void requeue(struct fake_queue *q, const struct fake_conn *on, uint16_t channel)
{
    for (size_t i = 0; i < q->n_messages; i++) {
        struct fake_message *m = &q->messages[i];

        if (m->state == FAKE_UNACKED && m->on == on && (channel == 0 || m->channel == channel))
            m->state = FAKE_READY;
    }
    for (size_t i = 0; i < FAKE_QUEUES * 2; i++) {
        struct fake_consumer *c = &q->consumers[i];

        if (c->on == on && (channel == 0 || c->channel == channel))
            c->on = NULL;
    }
}

static void deliver_all(struct fake_queue *q)
{
    for (size_t i = 0; i < q->n_names; i++)
        deliver(q, i);
}

static void on_gone(void *arg, struct fake_conn *on)
{
    struct fake_queue *q = arg;
    size_t kept = 0;

    requeue(q, on, 0);
    for (size_t i = 0; i < q->n_held; i++)
        if (q->held[i].on != on)
            q->held[kept++] = q->held[i];
    q->n_held = kept;
}

static void on_ack(struct fake_queue *q, const struct fake_conn *on, uint16_t channel,
                   const amqp_basic_ack_t *ack)
{
    for (size_t i = 0; i < q->n_messages; i++) {
        struct fake_message *m = &q->messages[i];
        bool meant = m->tag == ack->delivery_tag || (ack->multiple && m->tag < ack->delivery_tag);

        if (m->state != FAKE_UNACKED || m->on != on || m->channel != channel || !meant)
            continue;
        if (q->acked != NULL)
            q->acked(q->arg, m);
        m->state = FAKE_GONE;
    }
}

static void on_consume(struct fake_queue *q, struct fake_conn *on, uint16_t channel,
                       const amqp_basic_consume_t *consume)
{
    amqp_basic_consume_ok_t ok = {.consumer_tag = consume->consumer_tag};
    struct fake_consumer *place = NULL;
    size_t queue = 0;

    for (size_t i = 0; place == NULL && i < FAKE_QUEUES * 2; i++)
        if (q->consumers[i].on == NULL)
            place = &q->consumers[i];
    while (queue < q->n_names && !bytes_are(consume->queue, q->names[queue]))
        queue++;
    REQUIRE(place != NULL && queue < q->n_names);
    *place = (struct fake_consumer){.on = on, .channel = channel, .queue = queue};
    fake_send(on, channel, AMQP_BASIC_CONSUME_OK_METHOD, &ok);
    deliver(q, queue);
}

static bool on_method(void *arg, struct fake_conn *on, uint16_t channel, const amqp_method_t *m)
{
    struct fake_queue *q = arg;

    switch (m->id) {
    case AMQP_BASIC_CONSUME_METHOD:
        on_consume(q, on, channel, m->decoded);
        return true;
    case AMQP_BASIC_ACK_METHOD:
        on_ack(q, on, channel, m->decoded);
        return false;
    case AMQP_CHANNEL_CLOSE_METHOD:
    case AMQP_CHANNEL_CLOSE_OK_METHOD:
        requeue(q, on, channel);
        deliver_all(q);
        return false;
    default:
        return false;
    }
}

static void say(const struct fake_answer *a, bool multiple)
{
    amqp_basic_ack_t ack = {.delivery_tag = a->tag, .multiple = multiple};
    amqp_basic_nack_t nack = {.delivery_tag = a->tag, .multiple = multiple};

    if (a->positive)
        fake_send(a->on, a->channel, AMQP_BASIC_ACK_METHOD, &ack);
    else
        fake_send(a->on, a->channel, AMQP_BASIC_NACK_METHOD, &nack);
}

/* One answer may stand for all older ones of its channel where they say the same. */
static bool covers(const struct fake_queue *q, const struct fake_answer *a)
{
    for (size_t i = 0; i < q->n_held; i++) {
        const struct fake_answer *b = &q->held[i];

        if (b->on == a->on && b->channel == a->channel && b->tag < a->tag &&
            b->positive != a->positive)
            return false;
    }
    return true;
}

void fake_queue_confess(struct fake_queue *q)
{
    while (q->n_held > 0) {
        size_t i = fake_dice(&q->dice, (unsigned)q->n_held), kept = 0;
        struct fake_answer a = q->held[i];
        bool multiple = covers(q, &a) && chance(q, 50);

        say(&a, multiple);
        for (size_t k = 0; k < q->n_held; k++) {
            const struct fake_answer *b = &q->held[k];

            if (k != i && !(multiple && b->on == a.on && b->channel == a.channel && b->tag < a.tag))
                q->held[kept++] = *b;
        }
        q->n_held = kept;
    }
}

static void answer(struct fake_queue *q, const struct fake_answer *a)
{
    if (a->tag == 0)
        return;
    q->held[q->n_held++] = *a;
    if (q->n_held == FAKE_HELD || !chance(q, q->hold))
        fake_queue_confess(q);
}

static void copy(char *to, size_t size, const void *bytes, size_t len)
{
    REQUIRE(len < size);
    memcpy(to, bytes, len);
    to[len] = '\0';
}

static void enqueue(struct fake_queue *q, const struct fake_publish *p)
{
    for (size_t i = 0; i < q->n_names; i++) {
        struct fake_message *m = add(q, i);

        copy(m->id, sizeof m->id, p->properties->message_id.bytes, p->properties->message_id.len);
        copy(m->type, sizeof m->type, p->properties->type.bytes, p->properties->type.len);
        copy(m->body, sizeof m->body, p->body.data, p->body.len);
    }
}

static void give_back(struct fake_conn *on, uint16_t channel, const struct fake_publish *p)
{
    amqp_basic_return_t r = {
        .reply_code = 312,
        .reply_text = amqp_cstring_bytes("NO_ROUTE"),
        .exchange = amqp_cstring_bytes("x"),
        .routing_key = {p->routing_key.len, (void *)(uintptr_t)p->routing_key.data}};
    amqp_basic_properties_t properties = *p->properties;

    fake_content(on, channel, AMQP_BASIC_RETURN_METHOD, &r, &properties, p->body, 0);
}

static void on_publish(void *arg, struct fake_conn *on, uint16_t channel,
                       const struct fake_publish *p)
{
    struct fake_queue *q = arg;
    struct fake_answer a = {on, channel, p->tag, true};
    bool taken = slice_is(p->exchange, q->exchange);

    if (taken && chance(q, q->give_back)) {
        give_back(on, channel, p);
        taken = false;
    } else if (chance(q, q->refuse)) {
        a.positive = false;
        taken = taken && chance(q, 50);
    }
    if (taken)
        enqueue(q, p);
    answer(q, &a);
    deliver_all(q);
}

struct fake_queue *fake_queue_new(struct fake_broker *b, const char *exchange,
                                  const char *const *names, uint64_t seed)
{
    struct fake_queue *q = calloc(1, sizeof *q);
    struct fake_plan *plan = fake_plan(b);

    REQUIRE(q != NULL);
    q->broker = b;
    q->exchange = exchange;
    q->dice = seed;
    q->messages = calloc(FAKE_MESSAGES, sizeof *q->messages);
    REQUIRE(q->messages != NULL);
    while (names[q->n_names] != NULL) {
        REQUIRE(q->n_names < FAKE_QUEUES);
        q->names[q->n_names] = names[q->n_names];
        q->n_names++;
    }
    plan->confirm = false;
    plan->hooks = (struct fake_hooks){on_method, on_publish, on_gone};
    plan->arg = q;
    return q;
}

void fake_queue_free(struct fake_queue **q)
{
    fake_plan((*q)->broker)->hooks = (struct fake_hooks){.method = NULL};
    free((*q)->messages);
    free(*q);
    *q = NULL;
}

void fake_queue_add(struct fake_queue *q, size_t queue, const char *id, const char *type,
                    const char *body)
{
    struct fake_message *m = add(q, queue);

    copy(m->id, sizeof m->id, id, strlen(id));
    copy(m->type, sizeof m->type, type, strlen(type));
    copy(m->body, sizeof m->body, body, strlen(body));
    deliver(q, queue);
}

void fake_queue_cancel(struct fake_queue *q, size_t queue)
{
    struct fake_consumer *c = consumer_of(q, queue);
    amqp_basic_cancel_t cancel = {.consumer_tag = amqp_cstring_bytes("herald"), .nowait = 1};

    if (c == NULL)
        return;
    c->cancelled = true;
    fake_send(c->on, c->channel, AMQP_BASIC_CANCEL_METHOD, &cancel);
}

void fake_queue_close(struct fake_queue *q, size_t queue)
{
    struct fake_consumer *c = consumer_of(q, queue);
    amqp_channel_close_t close = {.reply_code = 541, .reply_text = amqp_cstring_bytes("dice")};
    struct fake_conn *on;
    uint16_t channel;

    if (c == NULL)
        return;
    on = c->on;
    channel = c->channel;
    requeue(q, on, channel); /* acks that come from now on are for nobody */
    *c = (struct fake_consumer){.on = on, .channel = channel, .queue = queue, .closed = true};
    fake_send(on, channel, AMQP_CHANNEL_CLOSE_METHOD, &close);
}

size_t fake_queue_left(const struct fake_queue *q)
{
    size_t left = 0;

    for (size_t i = 0; i < q->n_messages; i++)
        left += q->messages[i].state != FAKE_GONE;
    return left;
}
