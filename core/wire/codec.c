/* codec - see codec.h: methods, headers and bodies, and a delivery as herald's message. A publish
 * is codec_publish.c's. */
#include "wire/codec.h"

#include "base/json_bytes.h"
#include "wire/bytes.h"
#include "wire/table.h"

#include <string.h>

enum {
    METHOD_FIRST_TRY = 512, /* most methods need far less */
    CONTENT_FIXED = 12,     /* class, weight and body size, before the properties */
    SECTIONS_SHORT = 2,     /* content type and encoding come before the headers */
    PERSISTENT = 2,         /* the delivery mode that goes without saying */
};

static const char key_prefix[] = "business-key-";

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

/* Text in the scratch buffer, which moves while it grows. */
struct span {
    bool present; /* else it is no text at all */
    size_t at;    /* offset */
    size_t len;   /* bytes */
};

static struct slice slice_in(amqp_bytes_t bytes)
{
    return (struct slice){bytes.len > 0 ? bytes.bytes : "", bytes.len};
}

static struct slice span_in(const struct buf *b, struct span s)
{
    return s.present ? (struct slice){b->data + s.at, s.len} : (struct slice){NULL, 0};
}

/* Which business key a header is, or -1. */
static int key_index(amqp_bytes_t name)
{
    const char *text = name.bytes;

    if (name.len != sizeof key_prefix || memcmp(text, key_prefix, sizeof key_prefix - 1) != 0)
        return -1;
    return text[name.len - 1] >= '1' && text[name.len - 1] < '1' + MESSAGE_KEYS
               ? text[name.len - 1] - '1'
               : -1;
}

static bool is_text(const amqp_field_value_t *v)
{
    return v->kind == AMQP_FIELD_KIND_UTF8 || v->kind == AMQP_FIELD_KIND_BYTES;
}

/* True for a header that is a key, or a null in a key's place: neither is shown again. */
static bool is_key(void *arg, const amqp_table_entry_t *entry)
{
    char digits[24];

    (void)arg;
    return key_index(entry->key) >= 0 &&
           (is_text(&entry->value) || entry->value.kind == AMQP_FIELD_KIND_VOID ||
            table_integer(&entry->value, digits));
}

/* Integers become text in the scratch buffer, at `number`. */
static void read_key(const amqp_table_entry_t *entry, struct slice *key, struct span *number,
                     struct buf *scratch)
{
    char digits[24];

    if (is_text(&entry->value)) {
        *key = slice_in(entry->value.value.bytes);
        number->present = false; /* of two headers of one name the last counts */
    } else if (table_integer(&entry->value, digits)) {
        *number = (struct span){true, scratch->len, strlen(digits)};
        buf_text(scratch, digits);
    }
}

/* Texts that were written into the scratch buffer; slices only once nothing more is. */
struct texts {
    struct span number[MESSAGE_KEYS];
    struct span headers;
    struct span properties;
};

static void read_headers(const amqp_table_t *table, struct message *out, struct buf *scratch,
                         struct texts *texts)
{
    int keys = 0;

    for (int i = 0; i < table->num_entries; i++) {
        const amqp_table_entry_t *entry = &table->entries[i];

        if (!is_key(NULL, entry))
            continue;
        keys++;
        read_key(entry, &out->key[key_index(entry->key)], &texts->number[key_index(entry->key)],
                 scratch);
    }
    if (table->num_entries > keys) {
        texts->headers = (struct span){true, scratch->len, 0};
        table_to_json(scratch, table, is_key, NULL);
        texts->headers.len = scratch->len - texts->headers.at;
    }
}

/* Properties that herald has no use for, and the bytes of a header table that cannot be read. */
static void keep_properties(const struct codec_content *content, struct buf *scratch,
                            struct texts *texts)
{
    const amqp_basic_properties_t *p = content->properties;
    const struct {
        amqp_flags_t flag;
        const char *name;
        amqp_bytes_t value;
    } kept[] = {
        {AMQP_BASIC_CONTENT_ENCODING_FLAG, "content_encoding", p->content_encoding},
        {AMQP_BASIC_CORRELATION_ID_FLAG, "correlation_id", p->correlation_id},
        {AMQP_BASIC_REPLY_TO_FLAG, "reply_to", p->reply_to},
        {AMQP_BASIC_EXPIRATION_FLAG, "expiration", p->expiration},
        {AMQP_BASIC_USER_ID_FLAG, "user_id", p->user_id},
        {AMQP_BASIC_APP_ID_FLAG, "app_id", p->app_id},
        {AMQP_BASIC_CLUSTER_ID_FLAG, "cluster_id", p->cluster_id},
    };
    size_t at = scratch->len;

    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        if ((p->_flags & kept[i].flag) != 0) {
            buf_printf(scratch, "%s\"%s\":", scratch->len == at ? "{" : ",", kept[i].name);
            json_put_text_or_bytes(scratch, slice_in(kept[i].value).data, kept[i].value.len);
        }
    if ((p->_flags & AMQP_BASIC_PRIORITY_FLAG) != 0)
        buf_printf(scratch, "%s\"priority\":%u", scratch->len == at ? "{" : ",",
                   (unsigned)p->priority);
    if ((p->_flags & AMQP_BASIC_DELIVERY_MODE_FLAG) != 0 && p->delivery_mode != PERSISTENT)
        buf_printf(scratch, "%s\"delivery_mode\":%u", scratch->len == at ? "{" : ",",
                   (unsigned)p->delivery_mode);
    if (content->damaged.data != NULL) {
        buf_printf(scratch, "%s\"headers\":", scratch->len == at ? "{" : ",");
        json_put_text_or_bytes(scratch, content->damaged.data, content->damaged.len);
    }
    if (scratch->len == at)
        return;
    buf_text(scratch, "}");
    texts->properties = (struct span){true, at, scratch->len - at};
}

static void read_properties(const amqp_basic_properties_t *p, struct message *out)
{
    /* An empty id names nothing: two messages that have it are two. */
    if ((p->_flags & AMQP_BASIC_MESSAGE_ID_FLAG) != 0 && p->message_id.len > 0)
        out->id = slice_in(p->message_id);
    if ((p->_flags & AMQP_BASIC_TYPE_FLAG) != 0)
        out->type = slice_in(p->type);
    if ((p->_flags & AMQP_BASIC_CONTENT_TYPE_FLAG) != 0 && p->content_type.len > 0)
        out->content_type = slice_in(p->content_type);
    /* Beyond what the clock of a person can show it is nonsense, not a time. */
    if ((p->_flags & AMQP_BASIC_TIMESTAMP_FLAG) != 0 && p->timestamp <= INT64_MAX / 1000)
        out->timestamp_s = message_seconds(p->timestamp);
}

static int check_utf8(const struct message *m, struct err *err)
{
    const struct {
        struct slice text;
        const char *what;
    } checks[] = {
        {m->id, "message id"},
        {m->type, "type"},
        {m->content_type, "content type"},
        {m->key[0], "header business-key-1"},
        {m->key[1], "header business-key-2"},
        {m->key[2], "header business-key-3"},
    };

    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        if (!text_is_utf8(checks[i].text.data, checks[i].text.len))
            return err_set(err, ERR_INPUT, "the %s is not UTF-8", checks[i].what);
    return OK;
}

int codec_message(const struct codec_content *content, struct message *out, struct buf *scratch,
                  struct err *err)
{
    const amqp_basic_properties_t *p = content->properties;
    struct texts texts = {.headers = {false, 0, 0}};

    *out = (struct message){.timestamp_s = 0};
    read_properties(p, out);
    out->body = content->body;
    if ((p->_flags & AMQP_BASIC_HEADERS_FLAG) != 0)
        read_headers(&p->headers, out, scratch, &texts);
    keep_properties(content, scratch, &texts);
    if (scratch->failed)
        return err_set(err, ERR_NOMEM, "out of memory for a message's headers");
    for (int i = 0; i < MESSAGE_KEYS; i++)
        if (texts.number[i].present)
            out->key[i] = span_in(scratch, texts.number[i]);
    out->headers = span_in(scratch, texts.headers);
    out->properties = span_in(scratch, texts.properties);
    if (content->headers_fault != NULL)
        return err_set(err, ERR_INPUT, "%s", content->headers_fault);
    return check_utf8(out, err);
}

/* Every slice of a message; the order is that of the block. */
enum { SLICES = 6 + MESSAGE_KEYS };

static void list_slices(struct message *m, struct slice *list[static SLICES])
{
    struct slice *all[SLICES] = {&m->id,         &m->type,         &m->key[0],
                                 &m->key[1],     &m->key[2],       &m->headers,
                                 &m->properties, &m->content_type, &m->body};

    memcpy(list, all, sizeof all);
}

size_t codec_message_size(const struct message *m)
{
    struct message copy = *m;
    struct slice *list[SLICES];
    size_t size = 0;

    list_slices(&copy, list);
    for (size_t i = 0; i < SLICES; i++)
        size += list[i]->len;
    return size;
}

char *codec_message_move(struct message *m, char *block)
{
    struct slice *list[SLICES];

    list_slices(m, list);
    for (size_t i = 0; i < SLICES; i++) {
        if (list[i]->len == 0) { /* absent stays absent, empty stays empty */
            list[i]->data = list[i]->data != NULL ? "" : NULL;
            continue;
        }
        memcpy(block, list[i]->data, list[i]->len);
        list[i]->data = block;
        block += list[i]->len;
    }
    return block;
}
