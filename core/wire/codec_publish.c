/* codec_publish - codec_publish: the hot path, one look at the room and then straight
 * writing. See codec.h. */
#include "base/properties.h"
#include "wire/bytes.h"
#include "wire/codec.h"
#include "wire/table.h"

#include <stdlib.h>
#include <string.h>

static const char key_names[MESSAGE_KEYS][15] = {"business-key-1", "business-key-2",
                                                 "business-key-3"};

enum {
    KEY_NAME = sizeof key_names[0] - 1,
    KEY_FIELD = 1 + KEY_NAME + 1 + 4, /* a key's field without its text */
    PERSISTENT = 2,
    MANDATORY = 1,
};

/* What goes out, looked at before the first byte is written. */
struct plan {
    const struct message *m;   /* lent, like all slices here */
    struct slice exchange;     /* never absent */
    struct slice routing_key;  /* never absent */
    struct slice content_type; /* the one that counts */
    struct properties *own;    /* lent: what the row sets; NULL: nothing, as most do */
    struct buf fields;         /* header fields out of m->headers; owned */
    struct buf type;           /* content type named by a header; owned */
    bool type_is_no_text;      /* that header is something else */
    size_t table;              /* bytes of the header table without its size */
    size_t method;             /* payload of the method frame */
    size_t header;             /* payload of the header frame */
    bool mandatory;            /* what no queue takes comes back */
};

static bool is_present(struct slice s)
{
    return s.data != NULL;
}

/* A short string and its size, or nothing when it is absent. */
static size_t short_size(struct slice s)
{
    return is_present(s) ? s.len + 1 : 0;
}

static int check_short(struct slice s, const char *what, struct err *err)
{
    if (s.len <= CODEC_SHORT_MAX)
        return OK;
    return err_set(err, ERR_INPUT, "the %s has %zu bytes; AMQP takes %d at most", what, s.len,
                   CODEC_SHORT_MAX);
}

static int check_texts(const struct plan *p, struct err *err)
{
    const struct {
        struct slice text;
        const char *what;
    } checks[] = {
        {p->exchange, "exchange's name"},  {p->routing_key, "routing key"},
        {p->m->id, "message id"},          {p->m->type, "message type"},
        {p->content_type, "content type"},
    };
    int rc = OK;

    for (size_t i = 0; rc == OK && i < sizeof checks / sizeof checks[0]; i++)
        rc = check_short(checks[i].text, checks[i].what, err);
    return rc;
}

/* Fields that have a place of their own do not go into the table twice. */
static bool take_field(void *arg, struct slice name, const struct slice *text)
{
    struct plan *p = arg;

    for (int i = 0; i < MESSAGE_KEYS; i++)
        if (is_present(p->m->key[i]) && slice_is(name, key_names[i]))
            return true;
    if (!slice_is(name, "content-type") && !slice_is(name, "content_type"))
        return false;
    buf_clear(&p->type);
    p->type_is_no_text = text == NULL || buf_append(&p->type, text->data, text->len) != OK;
    return true;
}

static int read_headers(struct plan *p, size_t frame_max, struct err *err)
{
    int rc;

    p->fields.max = frame_max;
    p->type.max = CODEC_SHORT_MAX;
    rc = table_from_json(&p->fields, p->m->headers, take_field, p, err);
    if (rc == OK && p->type_is_no_text)
        rc = err_set(err, ERR_INPUT,
                     "headers: the content type must be a string of at most %d bytes",
                     CODEC_SHORT_MAX);
    if (rc == OK && p->type.len > 0)
        p->content_type = (struct slice){p->type.data, p->type.len};
    return rc == ERR_LIMIT
               ? err_set(err, ERR_INPUT, "headers do not fit in a frame of %zu bytes", frame_max)
               : rc;
}

/* A content type among them goes before a header's, which may be older than properties are. */
static int read_own(struct plan *p, struct err *err)
{
    int rc = properties_read(p->own, p->m->properties, err);

    if (rc == OK && p->own->text[PROPERTY_CONTENT_TYPE].data != NULL)
        p->content_type = p->own->text[PROPERTY_CONTENT_TYPE];
    return rc;
}

/* The properties behind the delivery mode that are the row's own, in the order of the wire. */
static const enum property_text own_texts[] = {PROPERTY_CORRELATION_ID, PROPERTY_REPLY_TO,
                                               PROPERTY_EXPIRATION};
enum { OWN_TEXTS = sizeof own_texts / sizeof own_texts[0] };

static size_t own_size(const struct plan *p)
{
    size_t size;

    if (p->own == NULL)
        return 0;
    size = p->own->priority >= 0 ? 1 : 0;
    for (int i = 0; i < PROPERTY_TEXTS; i++)
        if (i != PROPERTY_CONTENT_TYPE)
            size += short_size(p->own->text[i]);
    return size;
}

static int measure(struct plan *p, size_t frame_max, struct err *err)
{
    const struct message *m = p->m;

    p->table = p->fields.len;
    for (int i = 0; i < MESSAGE_KEYS; i++)
        if (is_present(m->key[i]))
            p->table += KEY_FIELD + m->key[i].len;
    p->method = 4 + 2 + 1 + p->exchange.len + 1 + p->routing_key.len + 1;
    p->header = 12 + 2 + short_size(p->content_type) + (p->table > 0 ? 4 + p->table : 0) + 1 +
                short_size(m->id) + (m->timestamp_s > 0 ? 8 : 0) + short_size(m->type) +
                own_size(p);
    if (p->header + FRAME_OVERHEAD <= frame_max)
        return OK;
    return err_set(err, ERR_INPUT,
                   "keys, headers and properties of %zu bytes do not fit in the broker's frame of "
                   "%zu",
                   p->table + own_size(p), frame_max);
}

static int make_plan(struct plan *p, size_t frame_max, struct err *err)
{
    const struct message *m = p->m;
    int rc = OK;

    if (m->body.len > MESSAGE_BODY_MAX)
        return err_set(err, ERR_INPUT, "body of %zu bytes is over the limit of %d", m->body.len,
                       MESSAGE_BODY_MAX);
    p->content_type = m->content_type.len > 0 ? m->content_type : slice_of("application/json");
    if (m->headers.len > 0 && !slice_is(m->headers, "{}"))
        rc = read_headers(p, frame_max, err);
    if (rc == OK && p->own != NULL)
        rc = read_own(p, err);
    if (rc == OK)
        rc = check_texts(p, err);
    return rc == OK ? measure(p, frame_max, err) : rc;
}

static char *put_short(char *at, struct slice s)
{
    if (!is_present(s))
        return at;
    return put_bytes(put8(at, (uint8_t)s.len), s.data, s.len);
}

static char *put_prefix(char *at, enum frame_type type, uint16_t channel, size_t payload)
{
    return put32(put16(put8(at, (uint8_t)type), channel), (uint32_t)payload);
}

static char *put_method(char *at, const struct plan *p, uint16_t channel)
{
    at = put_prefix(at, FRAME_METHOD, channel, p->method);
    at = put16(put32(at, AMQP_BASIC_PUBLISH_METHOD), 0); /* a ticket: once had a meaning */
    at = put_short(put_short(at, p->exchange), p->routing_key);
    return put8(put8(at, p->mandatory ? MANDATORY : 0), FRAME_END);
}

static char *put_table(char *at, const struct plan *p)
{
    at = put32(at, (uint32_t)p->table);
    for (int i = 0; i < MESSAGE_KEYS; i++) {
        struct slice key = p->m->key[i];

        if (!is_present(key))
            continue;
        at = put_bytes(put8(at, KEY_NAME), key_names[i], KEY_NAME);
        at = put_bytes(put32(put8(at, AMQP_FIELD_KIND_UTF8), (uint32_t)key.len), key.data, key.len);
    }
    return put_bytes(at, p->fields.data, p->fields.len);
}

/* The delivery mode, and what goes between it and the message id. */
static char *put_own(char *at, const struct plan *p)
{
    if (p->own == NULL)
        return put8(at, PERSISTENT);
    at = put8(at, (uint8_t)(p->own->delivery_mode > 0 ? p->own->delivery_mode : PERSISTENT));
    if (p->own->priority >= 0)
        at = put8(at, (uint8_t)p->own->priority);
    for (int i = 0; i < OWN_TEXTS; i++)
        at = put_short(at, p->own->text[own_texts[i]]);
    return at;
}

static int own_flags(const struct plan *p)
{
    static const int flags[PROPERTY_TEXTS] = {
        [PROPERTY_CONTENT_ENCODING] = AMQP_BASIC_CONTENT_ENCODING_FLAG,
        [PROPERTY_CORRELATION_ID] = AMQP_BASIC_CORRELATION_ID_FLAG,
        [PROPERTY_REPLY_TO] = AMQP_BASIC_REPLY_TO_FLAG,
        [PROPERTY_EXPIRATION] = AMQP_BASIC_EXPIRATION_FLAG,
        [PROPERTY_APP_ID] = AMQP_BASIC_APP_ID_FLAG,
    };
    int all;

    if (p->own == NULL)
        return 0;
    all = p->own->priority >= 0 ? AMQP_BASIC_PRIORITY_FLAG : 0;
    for (int i = 0; i < PROPERTY_TEXTS; i++)
        all |= is_present(p->own->text[i]) ? flags[i] : 0;
    return all;
}

static uint16_t flags_of(const struct plan *p)
{
    const struct message *m = p->m;
    int flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_CONTENT_TYPE_FLAG;

    flags |= p->table > 0 ? AMQP_BASIC_HEADERS_FLAG : 0;
    flags |= is_present(m->id) ? AMQP_BASIC_MESSAGE_ID_FLAG : 0;
    flags |= m->timestamp_s > 0 ? AMQP_BASIC_TIMESTAMP_FLAG : 0;
    flags |= is_present(m->type) ? AMQP_BASIC_TYPE_FLAG : 0;
    return (uint16_t)(flags | own_flags(p));
}

static char *put_header(char *at, const struct plan *p, uint16_t channel)
{
    const struct message *m = p->m;

    at = put_prefix(at, FRAME_HEADER, channel, p->header);
    at = put64(put16(put16(at, AMQP_BASIC_CLASS), 0), m->body.len);
    at = put_short(put16(at, flags_of(p)), p->content_type);
    if (p->own != NULL)
        at = put_short(at, p->own->text[PROPERTY_CONTENT_ENCODING]);
    if (p->table > 0)
        at = put_table(at, p);
    at = put_short(put_own(at, p), m->id);
    if (m->timestamp_s > 0)
        at = put64(at, (uint64_t)m->timestamp_s);
    at = put_short(at, m->type);
    if (p->own != NULL)
        at = put_short(at, p->own->text[PROPERTY_APP_ID]);
    return put8(at, FRAME_END);
}

/* The name is no queue's for the broker, which would return what it hands over all the same
 * (docs/field-notes.md#direct-replies). */
static bool is_direct_reply(const struct plan *p)
{
    static const char prefix[] = "amq.rabbitmq.reply-to.";

    return p->exchange.len == 0 && p->routing_key.len >= sizeof prefix - 1 &&
           memcmp(p->routing_key.data, prefix, sizeof prefix - 1) == 0;
}

static int write_plan(struct buf *out, const struct plan *p, uint16_t channel, size_t frame_max,
                      struct err *err)
{
    const size_t before = out->len;
    const size_t room = p->method + p->header + 2 * FRAME_OVERHEAD;
    char *at = buf_reserve(out, room);
    int rc;

    if (at == NULL) {
        out->failed = false;
        return err_set(err, ERR_LIMIT, "no room in an output buffer of %zu bytes", out->max);
    }
    at = put_header(put_method(at, p, channel), p, channel);
    REQUIRE(at == out->data + before + room);
    out->len += room;
    rc = codec_body(out, channel, p->m->body, frame_max, err);
    if (rc != OK)
        out->len = before;
    return rc;
}

int codec_publish(struct buf *out, uint16_t channel, const char *exchange, const char *routing_key,
                  const struct message *m, size_t frame_max, struct err *err)
{
    struct plan p = {.m = m,
                     .exchange = slice_of(exchange != NULL ? exchange : ""),
                     .routing_key = slice_of(routing_key != NULL ? routing_key : "")};
    struct properties own;
    int rc;

    if (m->properties.len > 0) {
        properties_init(&own);
        p.own = &own;
    }
    p.mandatory = !is_direct_reply(&p);
    rc = make_plan(&p, frame_max, err);
    if (rc == OK)
        rc = write_plan(out, &p, channel, frame_max, err);
    if (p.own != NULL)
        properties_free(p.own);
    buf_free(&p.fields);
    buf_free(&p.type);
    return rc;
}
