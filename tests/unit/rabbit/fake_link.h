/*
 * fake_link - takes the place of wire/link.c: writes down what is sent, as text
 *
 *   "1:open 1:exchange.declare?(x) 2:confirm"       n: channel, ?: passive
 *   "1:queue.declare(q,quorum -> q.herald-dead,durable)"        with a dead-letter queue
 *
 * and lets a test say what the broker says. Time stands still until the test moves
 * it. To be included once by a test program of core/broker.
 */
#ifndef TESTS_UNIT_BROKER_FAKE_LINK_H
#define TESTS_UNIT_BROKER_FAKE_LINK_H

#include "check.h"
#include "wire/bytes.h"
#include "wire/link.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct link {
    bool up;
    bool blocked;
    size_t backlog;
    uint16_t channel_max; /* few: then declarations go one by one, on channel 1 */
    char said[4096];      /* what was sent since it was last looked at */
};

enum { FAKE_CHANNELS = 15 };

static struct link fake_link;
static int64_t fake_now = 1000;

static int64_t fake_mono(void *arg)
{
    (void)arg;
    return fake_now;
}

static const struct clock fake_clock = {.wall_ms = fake_mono, .mono_ms = fake_mono};

static void fake_begin(void)
{
    fake_link = (struct link){.up = true, .channel_max = FAKE_CHANNELS};
    fake_now = 1000;
}

__attribute__((format(printf, 1, 2))) static void note_said(const char *format, ...)
{
    size_t used = strlen(fake_link.said);
    va_list args;

    if (used > 0)
        used += (size_t)snprintf(fake_link.said + used, sizeof fake_link.said - used, " ");
    va_start(args, format);
    vsnprintf(fake_link.said + used, sizeof fake_link.said - used, format, args);
    va_end(args);
}

/* What was sent since the last call must be this. */
static void sent(const char *want)
{
    assert_string_equal(fake_link.said, want);
    fake_link.said[0] = '\0';
}

#define BYTES(b) (int)(b).len, (const char *)(b).bytes

static bool is_named(const amqp_table_entry_t *e, const char *name)
{
    return e->key.len == strlen(name) && memcmp(e->key.bytes, name, e->key.len) == 0;
}

/* " x-max-length=10" */
static void add_argument(char *out, size_t size, const amqp_table_entry_t *e)
{
    const size_t used = strlen(out);

    if (e->value.kind == AMQP_FIELD_KIND_UTF8)
        snprintf(out + used, size - used, " %.*s=%.*s", BYTES(e->key), BYTES(e->value.value.bytes));
    else if (e->value.kind == AMQP_FIELD_KIND_BOOLEAN)
        snprintf(out + used, size - used, " %.*s=%s", BYTES(e->key),
                 e->value.value.boolean ? "true" : "false");
    else
        snprintf(out + used, size - used, " %.*s=%lld", BYTES(e->key),
                 e->value.kind == AMQP_FIELD_KIND_I64 ? (long long)e->value.value.i64
                                                      : (long long)e->value.value.i32);
}

/* Of a declaration with `dead`, what goes with a dead-letter queue of herald's goes without saying.
 */
static bool goes_without_saying(const amqp_table_entry_t *e, const char *dead)
{
    if (is_named(e, "x-queue-type"))
        return true;
    return dead != NULL &&
           (is_named(e, "x-dead-letter-exchange") || is_named(e, "x-dead-letter-routing-key") ||
            is_named(e, "x-dead-letter-strategy") ||
            (is_named(e, "x-overflow") && e->value.value.bytes.len == 14));
}

static void note_declare(uint16_t channel, const amqp_queue_declare_t *m)
{
    const amqp_table_t *a = &m->arguments;
    const char *dead = NULL;
    char type[256] = "plain", more[200] = "";

    for (int i = 0; i < a->num_entries; i++) {
        const amqp_bytes_t text = a->entries[i].value.value.bytes;

        if (is_named(&a->entries[i], "x-queue-type"))
            snprintf(type, sizeof type, "%.*s", BYTES(text));
        if (is_named(&a->entries[i], "x-dead-letter-routing-key"))
            dead = text.bytes;
    }
    for (int i = 0; i < a->num_entries; i++)
        if (a->num_entries == 2 && is_named(&a->entries[i], "x-delivery-limit"))
            snprintf(more, sizeof more, " %d", a->entries[i].value.value.i32);
        else if (!goes_without_saying(&a->entries[i], dead))
            add_argument(more, sizeof more, &a->entries[i]);
    if (m->passive)
        note_said("%u:queue.declare?(%.*s)", channel, BYTES(m->queue));
    else
        note_said("%u:queue.declare(%.*s,%s%s%s%s,%s)", channel, BYTES(m->queue), type,
                  dead != NULL ? " -> " : "", dead != NULL ? dead : "", more,
                  m->durable ? "durable" : "transient");
}

static void note_exchange_bind(uint16_t channel, const amqp_exchange_bind_t *m)
{
    note_said("%u:exchange.bind(%.*s,%.*s,%.*s)", channel, BYTES(m->destination), BYTES(m->source),
              BYTES(m->routing_key));
}

static void note_bind(uint16_t channel, const amqp_queue_bind_t *m)
{
    char more[200] = "";

    for (int i = 0; i < m->arguments.num_entries; i++)
        add_argument(more, sizeof more, &m->arguments.entries[i]);
    note_said("%u:bind(%.*s,%.*s,%.*s%s)", channel, BYTES(m->queue), BYTES(m->exchange),
              BYTES(m->routing_key), more);
}

/* "1:consume(q)", and " priority 5", " exclusive" */
static void note_consume(uint16_t channel, const amqp_basic_consume_t *m)
{
    const bool first = m->arguments.num_entries == 1;
    const int priority = first ? m->arguments.entries[0].value.value.i32 : 0;
    char words[40] = "";

    if (priority != 0)
        snprintf(words, sizeof words, " priority %d", priority);
    note_said("%u:consume(%.*s%s%s)", channel, BYTES(m->queue), words,
              m->exclusive ? " exclusive" : "");
}

int link_send(struct link *l, uint16_t channel, amqp_method_number_t id, void *method,
              struct err *err)
{
    const amqp_exchange_declare_t *exchange = method;
    const amqp_basic_qos_t *qos = method;
    const amqp_basic_ack_t *ack = method;

    if (!l->up)
        return err_set(err, ERR_CLOSED, "not connected");
    switch (id) {
    case AMQP_CHANNEL_OPEN_METHOD:
        note_said("%u:open", channel);
        break;
    case AMQP_CHANNEL_CLOSE_METHOD:
        note_said("%u:close", channel);
        break;
    case AMQP_CHANNEL_CLOSE_OK_METHOD:
        note_said("%u:close-ok", channel);
        break;
    case AMQP_CONFIRM_SELECT_METHOD:
        note_said("%u:confirm", channel);
        break;
    case AMQP_EXCHANGE_DECLARE_METHOD:
        if (exchange->passive)
            note_said("%u:exchange.declare?(%.*s)", channel, BYTES(exchange->exchange));
        else
            note_said("%u:exchange.declare(%.*s,%.*s,%s)", channel, BYTES(exchange->exchange),
                      BYTES(exchange->type), exchange->durable ? "durable" : "transient");
        break;
    case AMQP_QUEUE_DECLARE_METHOD:
        note_declare(channel, method);
        break;
    case AMQP_EXCHANGE_BIND_METHOD:
        note_exchange_bind(channel, method);
        break;
    case AMQP_QUEUE_BIND_METHOD:
        note_bind(channel, method);
        break;
    case AMQP_BASIC_QOS_METHOD:
        note_said("%u:qos(%u,%s)", channel, qos->prefetch_count, qos->global ? "global" : "each");
        break;
    case AMQP_BASIC_CONSUME_METHOD:
        note_consume(channel, method);
        break;
    case AMQP_BASIC_CANCEL_METHOD:
        note_said("%u:cancel", channel);
        break;
    case AMQP_BASIC_ACK_METHOD:
        note_said("%u:ack(%llu%s)", channel, (unsigned long long)ack->delivery_tag,
                  ack->multiple ? "+" : "");
        break;
    default:
        note_said("%u:0x%x", channel, (unsigned)id);
        break;
    }
    return OK;
}

/* Frames of a publish begin with basic.publish: its exchange and routing key show. */
int link_write(struct link *l, const void *frames, size_t len, struct err *err)
{
    const char *p = frames;
    uint8_t exchange_len = get8(p + 13);
    const char *key = p + 14 + exchange_len;

    if (!l->up)
        return err_set(err, ERR_CLOSED, "not connected");
    assert_true(len > 16);
    note_said("%u:publish(%.*s/%.*s)", get16(p + 1), exchange_len, p + 14, get8(key), key + 1);
    return OK;
}

void link_restart(struct link *l, const char *why)
{
    (void)l;
    note_said("RESTART(%s)", why);
}

bool link_is_up(const struct link *l)
{
    return l->up;
}

bool link_is_blocked(const struct link *l)
{
    return l->blocked;
}

uint16_t link_channel_max(const struct link *l)
{
    return l->channel_max;
}

uint32_t link_frame_max(const struct link *l)
{
    (void)l;
    return 131072;
}

size_t link_backlog(const struct link *l)
{
    return l->backlog;
}

void link_flush(struct link *l)
{
    (void)l;
}

/* What the broker says, for the `method` event of a module. */
static amqp_method_t method_of(amqp_method_number_t id, void *decoded)
{
    return (amqp_method_t){.id = id, .decoded = decoded};
}

static amqp_method_t close_of(amqp_channel_close_t *close, uint16_t code, const char *text)
{
    *close = (amqp_channel_close_t){.reply_code = code, .reply_text = amqp_cstring_bytes(text)};
    return method_of(AMQP_CHANNEL_CLOSE_METHOD, close);
}

#endif
