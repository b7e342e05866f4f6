/* message - see message.h. */
#include "base/message.h"

#include "base/json.h"

#include <string.h>
#include <strings.h>

/* The members of a body that say something of its message. */
enum field { FIELD_KEY1, FIELD_KEY2, FIELD_KEY3, FIELD_ID, FIELD_TYPE, FIELDS };

static const char *const field_names[FIELDS] = {"businessKey1", "businessKey2", "businessKey3",
                                                "id", "messageType"};

bool message_keep(struct arena *a, struct message *m)
{
    bool kept = arena_keep(a, &m->id) && arena_keep(a, &m->type);

    for (int i = 0; i < MESSAGE_KEYS; i++)
        kept = kept && arena_keep(a, &m->key[i]);
    return kept && arena_keep(a, &m->body) && arena_keep(a, &m->headers) &&
           arena_keep(a, &m->content_type) && arena_keep(a, &m->properties);
}

void envelope_init(struct envelope *e)
{
    *e = (struct envelope){.type = {NULL, 0}};
    buf_init(&e->tape, JSON_TAPE_MAX);
}

void envelope_free(struct envelope *e)
{
    buf_free(&e->tape);
}

static void envelope_clear(struct envelope *e)
{
    e->type = e->id = e->key[0] = e->key[1] = e->key[2] = (struct slice){NULL, 0};
}

static int read_field(enum field f, const struct json *j, const struct json_token *value,
                      struct slice *out, struct err *err)
{
    static const char *const kinds[] = {
        [JSON_FALSE] = "a boolean",
        [JSON_TRUE] = "a boolean",
        [JSON_REAL] = "a number with a fraction or an exponent",
        [JSON_ARRAY] = "an array",
        [JSON_OBJECT] = "an object",
    };

    if (value->kind == JSON_NULL)
        return OK; /* as one that is absent */
    if (value->kind != JSON_STRING && value->kind != JSON_INTEGER)
        return err_set(err, ERR_INPUT, "bad envelope: %s is %s, not a string or an integer",
                       field_names[f], kinds[value->kind]);
    *out = json_text(j, value);
    return OK;
}

/* Goes through the members once, which may be many. */
static int read_fields(struct envelope *e, const struct json *j, struct err *err)
{
    struct slice *const out[FIELDS] = {&e->key[0], &e->key[1], &e->key[2], &e->id, &e->type};
    const struct json_token *key = j->tape + 1, *value;
    int rc = OK;

    for (size_t left = j->tape->len; left > 0 && rc == OK; left--) {
        struct slice name = json_text(j, key);

        value = json_next(j, key);
        for (int f = 0; f < FIELDS && rc == OK; f++)
            if (slice_is(name, field_names[f]))
                rc = read_field((enum field)f, j, value, out[f], err);
        key = json_next(j, value);
    }
    return rc;
}

int envelope_read(struct envelope *e, struct slice body, struct err *err)
{
    struct json j;
    int rc;

    envelope_clear(e);
    rc = json_parse(&j, &e->tape, body.data, body.len, err);
    return rc == OK && j.tape->kind == JSON_OBJECT ? read_fields(e, &j, err) : rc;
}

bool message_content_type(struct slice headers, struct buf *out)
{
    struct slice type = {NULL, 0};
    struct json j;
    struct buf tape;
    bool found;

    buf_clear(out);
    if (headers.data == NULL)
        return false;
    buf_init(&tape, JSON_TAPE_MAX);
    if (json_parse(&j, &tape, headers.data, headers.len, NULL) == OK) {
        type = json_member_text(&j, "content-type");
        if (type.data == NULL)
            type = json_member_text(&j, "content_type");
    }
    found = type.data != NULL && buf_append(out, type.data, type.len) == OK;
    buf_free(&tape);
    return found;
}

/* How a content type has its body read. */
enum reading {
    READ_JSON,   /* it says JSON, or nothing: anything else is a mistake */
    READ_OBJECT, /* senders of JSON say so, too: a JSON object is one, the rest is bytes */
    READ_BYTES,
};

static bool type_is(struct slice type, const char *name)
{
    size_t len = strlen(name);

    return type.len >= len && strncasecmp(type.data, name, len) == 0;
}

static enum reading reading_of(struct slice type)
{
    if (type.data == NULL || type.len == 0 || type_is(type, "application/json"))
        return READ_JSON;
    return type_is(type, "text/plain") || type_is(type, "application/octet-stream") ? READ_OBJECT
                                                                                    : READ_BYTES;
}

static bool begins_object(struct slice body)
{
    size_t i = 0;

    while (i < body.len && memchr(" \t\r\n", body.data[i], 4) != NULL)
        i++;
    return i < body.len && body.data[i] == '{';
}

static bool reads_as_json(struct slice body)
{
    struct json j;
    struct buf tape;
    bool reads;

    buf_init(&tape, JSON_TAPE_MAX);
    reads = json_parse(&j, &tape, body.data, body.len, NULL) == OK;
    buf_free(&tape);
    return reads;
}

bool message_is_json(const struct message *m)
{
    switch (reading_of(m->content_type)) {
    case READ_JSON:
        return true;
    case READ_OBJECT:
        return begins_object(m->body) && reads_as_json(m->body);
    case READ_BYTES:
        break;
    }
    return false;
}

static bool begins_with(struct slice body, const char *bytes, size_t len)
{
    return body.len >= len && memcmp(body.data, bytes, len) == 0;
}

/* What a compressed body begins with: gzip (RFC 1952), zlib (RFC 1950), zstd (RFC 8878). */
static const char *compression_of(struct slice body)
{
    if (begins_with(body, "\x1f\x8b", 2))
        return "gzip";
    if (begins_with(body, "\x28\xb5\x2f\xfd", 4))
        return "zstd";
    return begins_with(body, "\x78\x01", 2) || begins_with(body, "\x78\x9c", 2) ||
                   begins_with(body, "\x78\xda", 2)
               ? "zlib"
               : NULL;
}

/* Says what a body is that was taken for JSON and is none, where that can be seen. */
static void explain_body(const struct message *m, struct err *err)
{
    static const char name[] = "\"content_encoding\":\"";
    const char *packed = compression_of(m->body), *at;
    int len = 0;

    if (m->body.len == 0)
        err_set(err, ERR_INPUT,
                "the body is empty where JSON is due: send an object, or give the subscription "
                "envelope = \"raw\"");
    else if (begins_with(m->body, "\xef\xbb\xbf", 3))
        err_set(err, ERR_INPUT,
                "bad JSON at byte 0: the body begins with a byte order mark (BOM), which JSON has "
                "not (RFC 8259, 8.1)");
    if (packed == NULL)
        return;
    at = m->properties.len > 0
             ? memmem(m->properties.data, m->properties.len, name, sizeof name - 1)
             : NULL;
    if (at != NULL) {
        const char *end = m->properties.data + m->properties.len;

        at += sizeof name - 1;
        while (at + len < end && at[len] != '"' && len < 40)
            len++;
    }
    err_set(
        err, ERR_INPUT,
        "the body is no JSON but looks compressed (%s, content_encoding \"%.*s\"): send it as it "
        "is, or unpack it in a function that the subscription has as its envelope",
        packed, len, at != NULL ? at : "");
}

/* Reads the body as far as its content type allows; `why` is filled where that was in vain and
 * the properties alone speak. */
static int read_body(const struct message *m, struct envelope *e, struct err *why, struct err *err)
{
    enum reading how = reading_of(m->content_type);
    int rc;

    envelope_clear(e);
    if (how == READ_JSON) {
        rc = envelope_read(e, m->body.data ? m->body : slice_of(""), err);
        if (rc == ERR_INPUT)
            explain_body(m, err);
        return rc;
    }
    if (how == READ_BYTES) {
        err_set(why, ERR_INPUT, "its content type is not one of JSON");
        return OK;
    }
    if (!begins_object(m->body)) {
        err_set(why, ERR_INPUT, "it is no JSON object");
        return OK;
    }
    rc = envelope_read(e, m->body, why);
    if (rc == ERR_INPUT)
        envelope_clear(e);
    return rc == ERR_NOMEM ? err_set(err, rc, "%s", why->text) : OK;
}

/* What was looked for, and where. */
static int no_type(const struct message *m, const struct err *why, struct err *err)
{
    int len = m->content_type.len < 100 ? (int)m->content_type.len : 100;
    const char *type = len > 0 ? m->content_type.data : "";

    if (why->code == OK)
        return err_set(err, ERR_INPUT,
                       "no message type: neither \"messageType\" in the body (JSON, content type "
                       "\"%.*s\") nor the AMQP property \"type\" is set",
                       len, type);
    return err_set(err, ERR_INPUT,
                   "no message type: the AMQP property \"type\" is not set, and the body (content "
                   "type \"%.*s\") has no \"messageType\" to find: %s",
                   len, type, why->text);
}

int message_resolve(struct message *m, struct envelope *e, struct err *err)
{
    struct err why = {.code = OK};

    if (read_body(m, e, &why, err) != OK)
        return err->code;
    if (e->type.data != NULL)
        m->type = e->type;
    for (int i = 0; i < MESSAGE_KEYS; i++)
        if (e->key[i].data != NULL)
            m->key[i] = e->key[i];
    return m->type.len > 0 ? OK : no_type(m, &why, err);
}

static uint64_t hash_slice(uint64_t hash, struct slice s)
{
    /* An absent key differs from an empty one. */
    return s.data == NULL ? text_hash(hash, "\xff", 1) : text_hash(hash, s.data, s.len);
}

uint64_t message_hash(const struct message *m)
{
    uint64_t hash = hash_slice(TEXT_HASH_START, m->type);

    for (int i = 0; i < MESSAGE_KEYS; i++)
        hash = hash_slice(hash, m->key[i]);
    return hash_slice(hash, m->body);
}

struct fingerprint message_fingerprint(const struct message *received)
{
    return (struct fingerprint){message_hash(received), FINGERPRINT_OF_RECEIVED};
}

/* As seconds that would be the year 5138; as milliseconds it is 1973. */
int64_t message_seconds(uint64_t timestamp)
{
    const uint64_t seconds_end = UINT64_C(100000000000);

    return (int64_t)(timestamp < seconds_end ? timestamp : timestamp / 1000);
}

int message_default_body(struct buf *b, const struct message *m, int64_t id)
{
    json_add_object(b, NULL);
    for (int i = 0; i < MESSAGE_KEYS; i++)
        if (m->key[i].data != NULL)
            json_add_text(b, field_names[i], m->key[i]);
    json_add_int(b, "id", id);
    if (m->type.data != NULL)
        json_add_text(b, "messageType", m->type);
    json_end(b, "}");
    return b->failed ? ERR_LIMIT : OK;
}
