/* dead_letter_queue - see dead_letter_queue.h. The header x-death is an array of tables, one for
 * each queue and reason, the newest in front: {queue, reason, exchange, routing-keys, count, time}.
 */
#include "rabbit/dead_letter_queue.h"

#include <stdio.h>
#include <string.h>

#define SUFFIX ".herald-dead"

enum { QUEUE_NAME_MAX = 255 };

bool dead_letter_queue_name(const char *queue, char out[static DEAD_LETTER_QUEUE_NAME_MAX])
{
    const size_t len = strlen(queue), suffix = strlen(SUFFIX);

    out[0] = '\0';
    if (len + suffix > QUEUE_NAME_MAX)
        return false;
    if (len >= suffix && strcmp(queue + len - suffix, SUFFIX) == 0)
        return false;
    snprintf(out, DEAD_LETTER_QUEUE_NAME_MAX, "%s%s", queue, SUFFIX);
    return true;
}

/* NULL: there is none of that kind. */
static const amqp_field_value_t *field(const amqp_table_t *table, const char *name, uint8_t kind)
{
    for (int i = 0; i < table->num_entries; i++) {
        const amqp_table_entry_t *entry = &table->entries[i];

        if (slice_is((struct slice){entry->key.bytes, entry->key.len}, name))
            return entry->value.kind == kind ? &entry->value : NULL;
    }
    return NULL;
}

static struct slice text_of(const amqp_field_value_t *value)
{
    if (value == NULL || value->kind != AMQP_FIELD_KIND_UTF8)
        return (struct slice){NULL, 0};
    return (struct slice){value->value.bytes.len > 0 ? value->value.bytes.bytes : "",
                          value->value.bytes.len};
}

static struct slice text_field(const amqp_table_t *table, const char *name)
{
    return text_of(field(table, name, AMQP_FIELD_KIND_UTF8));
}

/* The newest death in this queue, or NULL. */
static const amqp_table_t *death_in(const amqp_table_t *headers, const char *queue)
{
    const amqp_field_value_t *deaths = field(headers, "x-death", AMQP_FIELD_KIND_ARRAY);

    for (int i = 0; deaths != NULL && i < deaths->value.array.num_entries; i++) {
        const amqp_field_value_t *death = &deaths->value.array.entries[i];

        if (death->kind == AMQP_FIELD_KIND_TABLE &&
            slice_is(text_field(&death->value.table, "queue"), queue))
            return &death->value.table;
    }
    return NULL;
}

static const char *reason_words(struct slice reason)
{
    static const struct {
        const char *reason, *words;
    } known[] = {
        {"delivery_limit", "it was delivered and came back too often (delivery limit), as when "
                           "a router dies again and again with it unacked"},
        {"rejected", "a consumer rejected it"},
        {"expired", "its time to live was over"},
        {"maxlen", "the queue was full (max-length)"},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (slice_is(reason, known[i].reason))
            return known[i].words;
    return NULL;
}

void dead_letter_queue_read(const amqp_table_t *headers, const char *queue,
                            struct dead_lettered *out)
{
    const amqp_table_t *death = death_in(headers, queue);
    const amqp_field_value_t *keys;
    struct slice reason;
    const char *words;

    *out = (struct dead_lettered){.why = ""};
    if (death == NULL) {
        snprintf(out->why, sizeof out->why,
                 "it lay in the dead-letter queue of \"%s\", and does not say how it got there",
                 queue);
        return;
    }
    out->exchange = text_field(death, "exchange");
    keys = field(death, "routing-keys", AMQP_FIELD_KIND_ARRAY);
    if (keys != NULL && keys->value.array.num_entries > 0)
        out->routing_key = text_of(&keys->value.array.entries[0]);
    reason = text_field(death, "reason");
    words = reason_words(reason);
    if (words != NULL)
        snprintf(out->why, sizeof out->why, "the broker gave up on it: %s", words);
    else
        snprintf(out->why, sizeof out->why, "the broker gave up on it: reason \"%.*s\"",
                 reason.len < 100 ? (int)reason.len : 100, reason.data != NULL ? reason.data : "");
}
