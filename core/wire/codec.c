/* codec - see codec.h: methods, headers and bodies; codec_publish.c and codec_received.c have
 * the messages. */
#include "wire/codec.h"

#include "wire/bytes.h"
#include "wire/table.h"

#include <string.h>

enum {
    METHOD_FIRST_TRY = 512, /* most methods need far less */
    CONTENT_FIXED = 12,     /* class, weight and body size, before the properties */
    SECTIONS_SHORT = 2,     /* content type and encoding come before the headers */
};

static int no_room(const struct buf *out, struct err *err)
{
    return err_set(err, ERR_LIMIT, "no room in an output buffer of %zu bytes", out->max);
}

/* Room for a frame and its payload, or NULL; the buffer is as it was. */
static char *frame_room(struct buf *out, size_t payload, struct err *err)
{
    char *p = buf_reserve(out, payload + FRAME_OVERHEAD);

    if (p == NULL) {
        out->failed = false;
        no_room(out, err);
    }
    return p;
}

/* Writes what stands around a payload and counts all of it as used. */
static void close_frame(struct buf *out, uint8_t type, uint16_t channel, size_t payload)
{
    char *p = out->data + out->len;

    put32(put16(put8(p, type), channel), (uint32_t)payload);
    put8(p + FRAME_PREFIX + payload, FRAME_END);
    out->len += payload + FRAME_OVERHEAD;
}

int codec_protocol_header(struct buf *out, struct err *err)
{
    if (buf_append(out, "AMQP\0\0\x09\x01", 8) == OK)
        return OK;
    out->failed = false;
    return no_room(out, err);
}

int codec_heartbeat(struct buf *out, struct err *err)
{
    if (frame_room(out, 0, err) == NULL)
        return ERR_LIMIT;
    close_frame(out, FRAME_HEARTBEAT, 0, 0);
    return OK;
}

/* Returns the encoded bytes, or a negative number when they need more than `room`. */
static int encode_method(char *at, size_t room, amqp_method_number_t id, void *method)
{
    amqp_bytes_t bytes = {.len = room - 4, .bytes = at + 4};
    int n = amqp_encode_method(id, method, bytes);

    put32(at, id);
    return n < 0 ? n : n + 4;
}

/* The library does not say how much room a method needs. */
int codec_method(struct buf *out, uint16_t channel, amqp_method_number_t id, void *method,
                 struct err *err)
{
    static const size_t tries[] = {METHOD_FIRST_TRY, FRAME_MAX_LEAST - FRAME_OVERHEAD};

    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        char *p = frame_room(out, tries[i], err);
        int n;

        if (p == NULL)
            return ERR_LIMIT;
        n = encode_method(p + FRAME_PREFIX, tries[i], id, method);
        if (n >= 0) {
            close_frame(out, FRAME_METHOD, channel, (size_t)n);
            return OK;
        }
    }
    return err_set(err, ERR_INPUT, "%s cannot be encoded: a name over %d bytes or too large",
                   amqp_method_name(id) != NULL ? amqp_method_name(id) : "a method",
                   CODEC_SHORT_MAX);
}

int codec_header(struct buf *out, uint16_t channel, amqp_basic_properties_t *properties,
                 uint64_t body_size, struct err *err)
{
    const size_t room = FRAME_MAX_START - FRAME_OVERHEAD;
    char *p = frame_room(out, room, err);
    amqp_bytes_t bytes;
    int n;

    if (p == NULL)
        return ERR_LIMIT;
    p += FRAME_PREFIX;
    bytes.bytes = put64(put16(put16(p, AMQP_BASIC_CLASS), 0), body_size);
    bytes.len = room - CONTENT_FIXED;
    n = amqp_encode_properties(AMQP_BASIC_CLASS, properties, bytes);
    if (n < 0)
        return err_set(err, ERR_INPUT, "properties cannot be encoded");
    close_frame(out, FRAME_HEADER, channel, (size_t)n + CONTENT_FIXED);
    return OK;
}

int codec_body(struct buf *out, uint16_t channel, struct slice body, size_t frame_max,
               struct err *err)
{
    const size_t most = frame_max - FRAME_OVERHEAD;
    size_t frames = (body.len + most - 1) / most;

    if (buf_reserve(out, body.len + frames * FRAME_OVERHEAD) == NULL) {
        out->failed = false;
        return no_room(out, err);
    }
    for (size_t at = 0; at < body.len; at += most) {
        size_t n = body.len - at < most ? body.len - at : most;

        memcpy(out->data + out->len + FRAME_PREFIX, body.data + at, n);
        close_frame(out, FRAME_BODY, channel, n);
    }
    return OK;
}

int codec_method_id(struct slice payload, amqp_method_number_t *id_out, struct err *err)
{
    if (payload.len < 4)
        return err_set(err, ERR_INPUT, "a method frame of %zu bytes", payload.len);
    *id_out = get32(payload.data);
    return OK;
}

bool codec_is_from_server(amqp_method_number_t id)
{
    switch (id) {
    case AMQP_CONNECTION_START_METHOD:
    case AMQP_CONNECTION_SECURE_METHOD:
    case AMQP_CONNECTION_TUNE_METHOD:
    case AMQP_CONNECTION_OPEN_OK_METHOD:
    case AMQP_CONNECTION_CLOSE_METHOD:
    case AMQP_CONNECTION_CLOSE_OK_METHOD:
    case AMQP_CONNECTION_BLOCKED_METHOD:
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
    case AMQP_CHANNEL_OPEN_OK_METHOD:
    case AMQP_CHANNEL_FLOW_METHOD:
    case AMQP_CHANNEL_FLOW_OK_METHOD:
    case AMQP_CHANNEL_CLOSE_METHOD:
    case AMQP_CHANNEL_CLOSE_OK_METHOD:
    case AMQP_EXCHANGE_DECLARE_OK_METHOD:
    case AMQP_EXCHANGE_DELETE_OK_METHOD:
    case AMQP_EXCHANGE_BIND_OK_METHOD:
    case AMQP_EXCHANGE_UNBIND_OK_METHOD:
    case AMQP_QUEUE_DECLARE_OK_METHOD:
    case AMQP_QUEUE_BIND_OK_METHOD:
    case AMQP_QUEUE_PURGE_OK_METHOD:
    case AMQP_QUEUE_DELETE_OK_METHOD:
    case AMQP_QUEUE_UNBIND_OK_METHOD:
    case AMQP_BASIC_QOS_OK_METHOD:
    case AMQP_BASIC_CONSUME_OK_METHOD:
    case AMQP_BASIC_CANCEL_METHOD:
    case AMQP_BASIC_CANCEL_OK_METHOD:
    case AMQP_BASIC_RETURN_METHOD:
    case AMQP_BASIC_DELIVER_METHOD:
    case AMQP_BASIC_ACK_METHOD:
    case AMQP_BASIC_NACK_METHOD:
    case AMQP_BASIC_RECOVER_OK_METHOD:
    case AMQP_CONFIRM_SELECT_OK_METHOD:
        return true;
    default:
        return false;
    }
}

bool codec_has_content(amqp_method_number_t id)
{
    return id == AMQP_BASIC_DELIVER_METHOD || id == AMQP_BASIC_RETURN_METHOD ||
           id == AMQP_BASIC_PUBLISH_METHOD;
}

/* connection.start: two bytes of version, then the server's properties. */
static int check_start(struct slice payload, struct err *err)
{
    struct err why = {.code = OK};
    size_t size;

    if (payload.len < 6)
        return err_set(err, ERR_INPUT, "connection.start of %zu bytes", payload.len);
    if (table_check(payload.data + 6, payload.len - 6, &size, &why) == OK)
        return OK;
    return err_set(err, ERR_INPUT, "connection.start: %s", why.text);
}

int codec_decode_method(struct slice payload, amqp_pool_t *pool, amqp_method_t *out,
                        struct err *err)
{
    int rc = codec_method_id(payload, &out->id, err);
    amqp_bytes_t args;

    if (rc == OK && out->id == AMQP_CONNECTION_START_METHOD)
        rc = check_start(payload, err);
    if (rc != OK)
        return rc;
    /* The library takes a writable pointer and does not write. */
    args = (amqp_bytes_t){payload.len - 4, (void *)(uintptr_t)(payload.data + 4)};
    rc = amqp_decode_method(out->id, pool, args, &out->decoded);
    if (rc >= 0)
        return OK;
    if (rc == AMQP_STATUS_NO_MEMORY)
        return err_set(err, ERR_NOMEM, "out of memory for a method");
    return err_set(err, ERR_INPUT, "a method that cannot be decoded (0x%08x, %zu bytes)",
                   (unsigned)out->id, payload.len);
}

int codec_body_size(struct slice payload, uint64_t *size_out, struct err *err)
{
    if (payload.len < CONTENT_FIXED + 2 || get16(payload.data) != AMQP_BASIC_CLASS)
        return err_set(err, ERR_INPUT, "a content header that is none (%zu bytes)", payload.len);
    *size_out = get64(payload.data + 4);
    return OK;
}

/* Where the header table starts in the properties, 0 when there is none; rc ERR_INPUT
 * when what comes before it is damaged. */
static int find_table(struct slice properties, size_t *at_out, struct err *err)
{
    uint16_t flags = get16(properties.data);
    size_t at = 2;

    *at_out = 0;
    if ((flags & 1) != 0) /* more flags would follow: the basic class has none */
        return err_set(err, ERR_INPUT, "a content header with unknown properties");
    if ((flags & AMQP_BASIC_HEADERS_FLAG) == 0)
        return OK;
    for (int i = 0; i < SECTIONS_SHORT; i++) {
        if ((flags & (AMQP_BASIC_CONTENT_TYPE_FLAG >> i)) == 0)
            continue;
        if (at >= properties.len)
            return err_set(err, ERR_INPUT, "a content header that ends early");
        at += get8(properties.data + at) + (size_t)1;
    }
    if (at > properties.len)
        return err_set(err, ERR_INPUT, "a content header that ends early");
    *at_out = at;
    return OK;
}

/* The same properties without their header table. */
static int without_table(struct slice *properties, size_t at, size_t size, amqp_pool_t *pool,
                         struct err *err)
{
    char *copy = amqp_pool_alloc(pool, properties->len);
    uint16_t flags = get16(properties->data);
    char *end;

    if (copy == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a content header");
    put16(copy, (uint16_t)(flags & ~AMQP_BASIC_HEADERS_FLAG));
    end = put_bytes(copy + 2, properties->data + 2, at - 2);
    end = put_bytes(end, properties->data + at + size, properties->len - at - size);
    *properties = (struct slice){copy, (size_t)(end - copy)};
    return OK;
}

/* The library leaves what is absent as it found the memory. */
static void clear_absent(amqp_basic_properties_t *p)
{
#define CLEAR(flag, member)                                                                        \
    if ((p->_flags & AMQP_BASIC_##flag##_FLAG) == 0)                                               \
    memset(&p->member, 0, sizeof p->member)
    CLEAR(CONTENT_TYPE, content_type);
    CLEAR(CONTENT_ENCODING, content_encoding);
    CLEAR(HEADERS, headers);
    CLEAR(DELIVERY_MODE, delivery_mode);
    CLEAR(PRIORITY, priority);
    CLEAR(CORRELATION_ID, correlation_id);
    CLEAR(REPLY_TO, reply_to);
    CLEAR(EXPIRATION, expiration);
    CLEAR(MESSAGE_ID, message_id);
    CLEAR(TIMESTAMP, timestamp);
    CLEAR(TYPE, type);
    CLEAR(USER_ID, user_id);
    CLEAR(APP_ID, app_id);
    CLEAR(CLUSTER_ID, cluster_id);
#undef CLEAR
}

/* The same properties with a header table that is no deeper than others. */
static int with_flat_table(struct slice *properties, size_t at, amqp_pool_t *pool, struct err *err)
{
    char *copy = amqp_pool_alloc(pool, properties->len);

    if (copy == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a content header");
    memcpy(copy, properties->data, properties->len);
    table_flatten(copy + at, properties->len - at);
    properties->data = copy;
    return OK;
}

int codec_decode_properties(struct slice payload, amqp_pool_t *pool,
                            const amqp_basic_properties_t **out, struct slice *damaged,
                            struct err *fault, struct err *err)
{
    struct slice raw = {payload.data + CONTENT_FIXED, payload.len - CONTENT_FIXED};
    size_t at, size = 0;
    void *decoded;
    int rc = find_table(raw, &at, err);

    fault->code = OK;
    *damaged = (struct slice){NULL, 0};
    if (rc == OK && at > 0 && table_check(raw.data + at, raw.len - at, &size, fault) != OK) {
        if (size == 0)
            return err_set(err, ERR_INPUT, "%s", fault->text);
        if (fault->code == ERR_LIMIT) {
            rc = with_flat_table(&raw, at, pool, err);
        } else {
            *damaged = (struct slice){raw.data + at, size};
            rc = without_table(&raw, at, size, pool, err);
        }
    }
    if (rc != OK)
        return rc;
    rc = amqp_decode_properties(AMQP_BASIC_CLASS, pool,
                                (amqp_bytes_t){raw.len, (void *)(uintptr_t)raw.data}, &decoded);
    if (rc == AMQP_STATUS_NO_MEMORY)
        return err_set(err, ERR_NOMEM, "out of memory for a content header");
    if (rc < 0)
        return err_set(err, ERR_INPUT, "a content header that cannot be decoded");
    clear_absent(decoded);
    *out = decoded;
    return OK;
}
