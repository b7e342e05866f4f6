/* span - see span.h. */
#include "base/span.h"

#include "base/json.h"

#include <string.h>

enum { KIND_CLIENT = 3, KIND_PRODUCER = 4, KIND_CONSUMER = 5, STATUS_ERROR = 2, ERROR_MAX = 300 };

#define DEFAULT_EXCHANGE "amq.default"

static const struct {
    const char *name; /* messaging.operation.name */
    const char *type; /* messaging.operation.type */
    int kind;         /* a send is no producer's: what made the message is */
} words[SPAN_OPERATIONS] = {
    [SPAN_CREATE] = {"create", "create", KIND_PRODUCER},
    [SPAN_SEND] = {"send", "send", KIND_CLIENT},
    [SPAN_PROCESS] = {"process", "process", KIND_CONSUMER},
    [SPAN_SETTLE] = {"ack", "settle", KIND_CLIENT},
};

static void begin_attribute(struct buf *b, const char *key)
{
    json_add_object(b, NULL);
    json_add_string(b, "key", key);
    json_add_object(b, "value");
}

static void add_text(struct buf *b, const char *key, struct slice text)
{
    if (text.len == 0)
        return;
    begin_attribute(b, key);
    json_add_text(b, "stringValue", text);
    json_end(b, "}}");
}

static void add_word(struct buf *b, const char *key, const char *text)
{
    add_text(b, key, slice_of(text));
}

/* 64 bits are texts in the JSON of protobuf. */
static void add_number(struct buf *b, const char *key, int64_t value)
{
    char text[TEXT_INT_MAX];

    if (value == 0)
        return;
    begin_attribute(b, key);
    json_add_text(b, "intValue", (struct slice){text, text_int(text, value)});
    json_end(b, "}}");
}

static void add_time(struct buf *b, const char *name, int64_t us)
{
    char text[TEXT_INT_MAX];

    json_add_text(b, name, (struct slice){text, text_int(text, us * 1000)});
}

static void put_part(struct buf *b, struct slice part)
{
    if (part.len == 0)
        return;
    if (b->len > 0)
        buf_text(b, ":");
    buf_append(b, part.data, part.len);
}

/* "exchange:key" of what is sent, "exchange:key:queue" of what came. */
static struct slice destination_of(struct buf *room, const struct span *s)
{
    buf_clear(room);
    put_part(room, s->exchange);
    if (!slice_equal(s->routing_key, s->queue))
        put_part(room, s->routing_key);
    put_part(room, s->queue);
    return room->len > 0 ? (struct slice){room->data, room->len} : slice_of(DEFAULT_EXCHANGE);
}

static void add_attributes(struct buf *b, const struct span *s, struct slice destination)
{
    json_add_array(b, "attributes");
    add_word(b, "messaging.system", s->system);
    add_word(b, "messaging.operation.name", words[s->operation].name);
    add_word(b, "messaging.operation.type", words[s->operation].type);
    add_text(b, "messaging.destination.name", destination);
    add_text(b, "messaging.rabbitmq.destination.routing_key", s->routing_key);
    add_text(b, "messaging.message.id", s->message_id);
    add_number(b, "messaging.message.body.size", (int64_t)s->body);
    add_text(b, "herald.message.type", s->type);
    add_number(b, "herald.attempt", s->attempt);
    add_number(b, "herald.rules.generation", s->generation);
    json_end(b, "]");
}

static void add_name(struct buf *b, const struct span *s, struct slice destination)
{
    struct buf name;

    buf_init(&name, 2048);
    buf_text(&name, words[s->operation].name);
    buf_text(&name, " ");
    buf_append(&name, destination.data, destination.len);
    json_add_text(b, "name", (struct slice){name.data, name.len});
    buf_free(&name);
}

void span_begin(struct buf *b, const struct span *s)
{
    struct buf room;
    struct slice destination;

    buf_init(&room, 1024);
    destination = destination_of(&room, s);
    json_add_object(b, NULL);
    json_add_string(b, "traceId", s->context->trace);
    json_add_string(b, "spanId", s->id);
    if (!s->root)
        json_add_string(b, "parentSpanId", s->context->span);
    if (s->context->state[0] != '\0')
        json_add_string(b, "traceState", s->context->state);
    add_name(b, s, destination);
    json_add_int(b, "kind", words[s->operation].kind);
    add_time(b, "startTimeUnixNano", s->start_us);
    add_attributes(b, s, destination);
    buf_free(&room);
}

void span_end(struct buf *b, int64_t end_us, const char *error)
{
    size_t len = error != NULL ? strlen(error) : 0;

    add_time(b, "endTimeUnixNano", end_us);
    json_add_object(b, "status");
    if (error != NULL) {
        json_add_int(b, "code", STATUS_ERROR);
        json_add_text(b, "message", (struct slice){error, len < ERROR_MAX ? len : ERROR_MAX});
    }
    json_end(b, "}}");
}

void span_open_request(struct buf *b, const char *service)
{
    json_add_object(b, NULL);
    json_add_array(b, "resourceSpans");
    json_add_object(b, NULL);
    json_add_object(b, "resource");
    json_add_array(b, "attributes");
    add_word(b, "service.name", service);
    json_end(b, "]}");
    json_add_array(b, "scopeSpans");
    json_add_object(b, NULL);
    json_add_object(b, "scope");
    json_add_string(b, "name", "herald");
    json_add_string(b, "version", HERALD_VERSION);
    json_end(b, "}");
    json_add_array(b, "spans");
}

void span_close_request(struct buf *b)
{
    json_end(b, "]}]}]}\n");
}
