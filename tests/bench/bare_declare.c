/*
 * bare_declare - how fast rabbitmq-c alone declares quorum queues and consumes them
 *
 *   bare_declare [--shared] URL PREFIX COUNT
 *
 * Declares what herald declares for COUNT subscriptions: PREFIX0, PREFIX1, ... with a dead-letter
 * queue each, bound to the fanout exchange PREFIX. All of it is sent at once over 16 channels,
 * and each queue is consumed, on a channel of its own, as herald does, or on those 16. Time runs
 * from the first declaration to the last consume-ok.
 */
#include "bare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 16, DELIVERIES_MAX = 1000 * 1000 * 1000 };

static amqp_table_entry_t text_argument(const char *key, const char *value)
{
    amqp_table_entry_t e = {.key = amqp_cstring_bytes(key)};

    e.value.kind = AMQP_FIELD_KIND_UTF8;
    e.value.value.bytes = amqp_cstring_bytes(value);
    return e;
}

static void send(amqp_connection_state_t conn, long i, amqp_method_number_t id, void *method)
{
    if (amqp_send_method(conn, (amqp_channel_t)(1 + i % CHANNELS), id, method) != AMQP_STATUS_OK)
        bare_die("a declaration could not be sent");
}

static void declare(amqp_connection_state_t conn, long i, const char *name,
                    amqp_table_entry_t *arguments, int n)
{
    amqp_queue_declare_t m = {
        .queue = amqp_cstring_bytes(name), .durable = 1, .arguments = {n, arguments}};

    send(conn, i, AMQP_QUEUE_DECLARE_METHOD, &m);
}

/* `own`: the channel for it, which is not open yet; 0: one of the 16. */
static void consume(amqp_connection_state_t conn, long i, const char *name, long own)
{
    const amqp_channel_t channel = (amqp_channel_t)(own != 0 ? own : 1 + i % CHANNELS);
    amqp_channel_open_t open = {.out_of_band = amqp_empty_bytes};
    amqp_basic_qos_t qos = {.prefetch_count = 50};
    amqp_basic_consume_t m = {.queue = amqp_cstring_bytes(name), .arguments = amqp_empty_table};
    bool ok = own == 0 ||
              amqp_send_method(conn, channel, AMQP_CHANNEL_OPEN_METHOD, &open) == AMQP_STATUS_OK;

    ok = ok && amqp_send_method(conn, channel, AMQP_BASIC_QOS_METHOD, &qos) == AMQP_STATUS_OK;
    if (!ok || amqp_send_method(conn, channel, AMQP_BASIC_CONSUME_METHOD, &m) != AMQP_STATUS_OK)
        bare_die("a consume could not be sent");
}

static void subscribe(amqp_connection_state_t conn, const char *prefix, long i)
{
    char name[200], dead[240];
    amqp_table_entry_t guarded[5], plain[2];
    amqp_queue_bind_t bind = {.exchange = amqp_cstring_bytes(prefix),
                              .routing_key = amqp_empty_bytes};

    snprintf(name, sizeof name, "%s%ld", prefix, i);
    snprintf(dead, sizeof dead, "%s.herald-dead", name);
    bind.queue = amqp_cstring_bytes(name);
    guarded[0] = plain[0] = text_argument("x-queue-type", "quorum");
    guarded[1] = text_argument("x-dead-letter-exchange", "");
    guarded[2] = text_argument("x-dead-letter-routing-key", dead);
    guarded[3] = text_argument("x-dead-letter-strategy", "at-least-once");
    guarded[4] = text_argument("x-overflow", "reject-publish");
    plain[1] = text_argument("x-delivery-limit", "");
    plain[1].value.kind = AMQP_FIELD_KIND_I32;
    plain[1].value.value.i32 = DELIVERIES_MAX;
    declare(conn, i, name, guarded, 5);
    send(conn, i, AMQP_QUEUE_BIND_METHOD, &bind);
    declare(conn, i, dead, plain, 2);
}

/* Reads so many answers of this kind. */
static void await(amqp_connection_state_t conn, amqp_method_number_t id, long count)
{
    while (count > 0) {
        amqp_frame_t frame;

        bare_next_frame(conn, &frame, true);
        count -= frame.frame_type == AMQP_FRAME_METHOD && frame.payload.method.id == id;
        amqp_maybe_release_buffers(conn);
    }
}

static void consume_both(amqp_connection_state_t conn, const char *prefix, long i, bool shared)
{
    const long own = shared ? 0 : CHANNELS + 1 + 2 * i;
    char name[200], dead[240];

    snprintf(name, sizeof name, "%s%ld", prefix, i);
    snprintf(dead, sizeof dead, "%s.herald-dead", name);
    consume(conn, i, name, own);
    consume(conn, i, dead, own + !shared);
}

static void open_channels(amqp_connection_state_t conn, const char *prefix)
{
    for (amqp_channel_t n = 2; n <= CHANNELS; n++) { /* the first one is open */
        amqp_channel_open(conn, n);
        bare_check_reply(conn, "channel.open");
    }
    amqp_exchange_declare(conn, BARE_CHANNEL, amqp_cstring_bytes(prefix),
                          amqp_cstring_bytes("fanout"), 0, 1, 0, 0, amqp_empty_table);
    bare_check_reply(conn, "exchange.declare");
}

int main(int argc, char **argv)
{
    amqp_connection_state_t conn;
    struct bare_meter begin;
    bool shared = argc > 1 && strcmp(argv[1], "--shared") == 0;
    long count;

    if (argc != 4 + shared)
        bare_die("usage: bare_declare [--shared] URL PREFIX COUNT");
    argv += shared;
    count = bare_number("COUNT", argv[3]);
    conn = bare_open(argv[1]);
    open_channels(conn, argv[2]);
    begin = bare_meter_now();
    for (long i = 0; i < count; i++)
        subscribe(conn, argv[2], i);
    await(conn, AMQP_QUEUE_DECLARE_OK_METHOD, 2 * count);
    for (long i = 0; i < count; i++)
        consume_both(conn, argv[2], i, shared);
    await(conn, AMQP_BASIC_CONSUME_OK_METHOD, 2 * count);
    bare_print("declare", count, begin, bare_meter_now());
    bare_close(conn);
    return 0;
}
