/* ask - see ask.h. */
#include "broker/ask.h"

#include "broker/channel.h"

int ask_exchange(struct link *l, const char *name, enum exchange_kind kind, bool passive,
                 struct err *err)
{
    amqp_exchange_declare_t m = {
        .exchange = amqp_cstring_bytes(name),
        .type = amqp_cstring_bytes(exchange_kind_word(kind)),
        .passive = passive,
        .durable = true,
        .arguments = amqp_empty_table,
    };

    return link_send(l, CHANNEL_DECLARE, AMQP_EXCHANGE_DECLARE_METHOD, &m, err);
}

/* A classic queue is declared plain, so that the declarations of the services that
 * exist still match; no other argument is ever given (PITFALLS 2.5). */
int ask_queue(struct link *l, const char *name, enum queue_type type, bool passive, struct err *err)
{
    amqp_table_entry_t argument = {
        .key = amqp_cstring_bytes("x-queue-type"),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("quorum")},
    };
    bool quorum = !passive && type != QUEUE_CLASSIC;
    amqp_queue_declare_t m = {
        .queue = amqp_cstring_bytes(name),
        .passive = passive,
        .durable = true,
        .arguments = {.num_entries = quorum ? 1 : 0, .entries = quorum ? &argument : NULL},
    };

    return link_send(l, CHANNEL_DECLARE, AMQP_QUEUE_DECLARE_METHOD, &m, err);
}

int ask_binding(struct link *l, const char *exchange, const char *queue, const char *routing_key,
                struct err *err)
{
    amqp_queue_bind_t m = {
        .queue = amqp_cstring_bytes(queue),
        .exchange = amqp_cstring_bytes(exchange),
        .routing_key = amqp_cstring_bytes(routing_key),
        .arguments = amqp_empty_table,
    };

    return link_send(l, CHANNEL_DECLARE, AMQP_QUEUE_BIND_METHOD, &m, err);
}
