/* channel - see channel.h. */
#include "rabbit/channel.h"

#include "rabbit/dead_letter_queue.h"

#include <stdio.h>
#include <string.h>

int channel_open(struct link *l, uint16_t channel, struct err *err)
{
    amqp_channel_open_t open = {.out_of_band = amqp_empty_bytes};

    return link_send(l, channel, AMQP_CHANNEL_OPEN_METHOD, &open, err);
}

int channel_close(struct link *l, uint16_t channel, struct err *err)
{
    amqp_channel_close_t close = {.reply_code = AMQP_REPLY_SUCCESS, .reply_text = amqp_empty_bytes};

    return link_send(l, channel, AMQP_CHANNEL_CLOSE_METHOD, &close, err);
}

int channel_close_ok(struct link *l, uint16_t channel, struct err *err)
{
    amqp_channel_close_ok_t ok = {0};

    return link_send(l, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok, err);
}

const char *channel_why(const amqp_channel_close_t *close, char *out, size_t size)
{
    snprintf(out, size, "%u %.*s", (unsigned)close->reply_code, (int)close->reply_text.len,
             (const char *)close->reply_text.bytes);
    return out;
}

bool channel_bytes_are(amqp_bytes_t bytes, const char *text)
{
    size_t len = strlen(text);

    return bytes.len == len && (len == 0 || memcmp(bytes.bytes, text, len) == 0);
}

#define CONSUMER_TAG "herald"

enum { DELIVERIES_MAX = 1000 * 1000 * 1000 };

int ask_exchange(struct link *l, uint16_t channel, const char *name, enum exchange_kind kind,
                 bool passive, struct err *err)
{
    amqp_exchange_declare_t m = {
        .exchange = amqp_cstring_bytes(name),
        .type = amqp_cstring_bytes(exchange_kind_word(kind)),
        .passive = passive,
        .durable = true,
        .arguments = amqp_empty_table,
    };

    return link_send(l, channel, AMQP_EXCHANGE_DECLARE_METHOD, &m, err);
}

static bool is_dead_lettered(const struct arguments *a)
{
    return arguments_find(a, "x-dead-letter-exchange") != NULL ||
           arguments_find(a, "x-dead-letter-routing-key") != NULL ||
           arguments_find(a, "x-dead-letter-strategy") != NULL;
}

enum queue_form ask_queue_form(const char *name, enum queue_type type, const struct arguments *a)
{
    char dead[DEAD_LETTER_QUEUE_NAME_MAX];

    if (type == QUEUE_CLASSIC)
        return QUEUE_CLASSIC_STATED;
    return dead_letter_queue_name(name, dead) && !is_dead_lettered(a) ? QUEUE_QUORUM_DEAD_LETTERING
                                                                      : QUEUE_QUORUM_PLAIN;
}

static amqp_table_entry_t text_argument(const char *name, const char *value)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(name),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(value)},
    };
}

amqp_table_entry_t channel_argument(const struct argument *a)
{
    amqp_table_entry_t entry = text_argument(a->name, a->text);

    if (a->kind == ARGUMENT_FLAG) {
        entry.value =
            (amqp_field_value_t){.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = a->number != 0};
    } else if (a->kind == ARGUMENT_INTEGER && a->number >= INT32_MIN && a->number <= INT32_MAX) {
        entry.value =
            (amqp_field_value_t){.kind = AMQP_FIELD_KIND_I32, .value.i32 = (int32_t)a->number};
    } else if (a->kind == ARGUMENT_INTEGER) {
        entry.value = (amqp_field_value_t){.kind = AMQP_FIELD_KIND_I64, .value.i64 = a->number};
    }
    return entry;
}

enum { HERALDS_ARGUMENTS = 5 };

/* Safe dead-lettering (at-least-once) keeps a message in its queue until the dead-letter queue has
 * confirmed it, and works only with the overflow reject-publish. A rule that states another
 * overflow gets the other kind, which may lose a message on the way. */
static int dead_lettering(const char *dead, const struct arguments *a, amqp_table_entry_t *out)
{
    const struct argument *overflow = arguments_find(a, "x-overflow");
    int n = 0;

    out[n++] = text_argument("x-dead-letter-exchange", "");
    out[n++] = text_argument("x-dead-letter-routing-key", dead);
    if (overflow == NULL || strcmp(overflow->text, "reject-publish") == 0)
        out[n++] = text_argument("x-dead-letter-strategy", "at-least-once");
    if (overflow == NULL)
        out[n++] = text_argument("x-overflow", "reject-publish");
    return n;
}

/* A dead-letter queue has no such queue of its own, so its delivery limit is one that is never
 * reached. -1, which means "none", would be 0 to a broker before 4.0. */
static int queue_arguments(const char *dead, enum queue_form form, const struct arguments *a,
                           amqp_table_entry_t out[static HERALDS_ARGUMENTS + ARGUMENTS_MAX])
{
    int n = 0;

    out[n++] = text_argument("x-queue-type", form == QUEUE_CLASSIC_STATED ? "classic" : "quorum");
    if (form == QUEUE_OF_DEAD) {
        out[n++] = channel_argument(&(struct argument){.name = "x-delivery-limit",
                                                       .kind = ARGUMENT_INTEGER,
                                                       .text = "",
                                                       .number = DELIVERIES_MAX});
        return n;
    }
    if (form == QUEUE_QUORUM_DEAD_LETTERING)
        n += dead_lettering(dead, a, &out[n]);
    for (size_t i = 0; i < a->n && i < ARGUMENTS_MAX; i++)
        out[n++] = channel_argument(&a->list[i]);
    return n;
}

/* A classic queue is declared with its type and what its rule says, which is as good as plain to
 * every broker: the declarations of the services that exist still match
 * (docs/field-notes.md#topology). */
int ask_queue(struct link *l, uint16_t channel, const char *name, enum queue_form form,
              const struct arguments *a, struct err *err)
{
    char dead[DEAD_LETTER_QUEUE_NAME_MAX];
    amqp_table_entry_t arguments[HERALDS_ARGUMENTS + ARGUMENTS_MAX];
    amqp_queue_declare_t m = {
        .queue = amqp_cstring_bytes(name),
        .passive = form == QUEUE_AS_IT_IS,
        .durable = true,
        .arguments = amqp_empty_table,
    };

    REQUIRE(dead_letter_queue_name(name, dead) || form != QUEUE_QUORUM_DEAD_LETTERING);
    if (form != QUEUE_AS_IT_IS) {
        m.arguments.num_entries = queue_arguments(dead, form, a, arguments);
        m.arguments.entries = arguments;
    }
    return link_send(l, channel, AMQP_QUEUE_DECLARE_METHOD, &m, err);
}

/* The entries lend from `a`. */
static amqp_table_t binding_arguments(const struct arguments *a,
                                      amqp_table_entry_t entries[static ARGUMENTS_MAX])
{
    amqp_table_t table = {.entries = entries};

    for (size_t i = 0; i < a->n && i < ARGUMENTS_MAX; i++)
        entries[table.num_entries++] = channel_argument(&a->list[i]);
    return table;
}

int ask_exchange_binding(struct link *l, uint16_t channel, const char *from, const char *to,
                         const char *routing_key, const struct arguments *a, struct err *err)
{
    amqp_table_entry_t entries[ARGUMENTS_MAX];
    amqp_exchange_bind_t m = {
        .destination = amqp_cstring_bytes(to),
        .source = amqp_cstring_bytes(from),
        .routing_key = amqp_cstring_bytes(routing_key),
        .arguments = binding_arguments(a, entries),
    };

    return link_send(l, channel, AMQP_EXCHANGE_BIND_METHOD, &m, err);
}

int ask_binding(struct link *l, uint16_t channel, const char *exchange, const char *queue,
                const char *routing_key, const struct arguments *a, struct err *err)
{
    amqp_table_entry_t entries[ARGUMENTS_MAX];
    amqp_queue_bind_t m = {
        .queue = amqp_cstring_bytes(queue),
        .exchange = amqp_cstring_bytes(exchange),
        .routing_key = amqp_cstring_bytes(routing_key),
        .arguments = binding_arguments(a, entries),
    };

    return link_send(l, channel, AMQP_QUEUE_BIND_METHOD, &m, err);
}

int ask_consumer(struct link *l, uint16_t channel, const char *queue, struct err *err)
{
    amqp_basic_qos_t qos = {.prefetch_count = 1};
    amqp_basic_consume_t consume = {
        .queue = amqp_cstring_bytes(queue),
        .consumer_tag = amqp_cstring_bytes(CONSUMER_TAG),
        .arguments = amqp_empty_table,
    };
    int rc = link_send(l, channel, AMQP_BASIC_QOS_METHOD, &qos, err);

    return rc == OK ? link_send(l, channel, AMQP_BASIC_CONSUME_METHOD, &consume, err) : rc;
}

int ask_no_more(struct link *l, uint16_t channel, struct err *err)
{
    amqp_basic_cancel_t cancel = {.consumer_tag = amqp_cstring_bytes(CONSUMER_TAG)};

    return link_send(l, channel, AMQP_BASIC_CANCEL_METHOD, &cancel, err);
}

int ask_back(struct link *l, uint16_t channel, uint64_t tag, struct err *err)
{
    amqp_basic_nack_t nack = {.delivery_tag = tag, .requeue = true};

    return link_send(l, channel, AMQP_BASIC_NACK_METHOD, &nack, err);
}
