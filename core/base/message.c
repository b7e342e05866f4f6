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

size_t message_size(const struct message *m)
{
    size_t size = m->body.len + m->headers.len + m->properties.len + m->id.len + m->type.len;

    for (int i = 0; i < MESSAGE_KEYS; i++)
        size += m->key[i].len;
    return size;
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
    e->odd.code = OK;
}

static void read_field(struct envelope *e, enum field f, const struct json *j,
                       const struct json_token *value, struct slice *out)
{
    static const char *const kinds[] = {
        [JSON_FALSE] = "a boolean",
        [JSON_TRUE] = "a boolean",
        [JSON_REAL] = "a number with a fraction or an exponent",
        [JSON_ARRAY] = "an array",
        [JSON_OBJECT] = "an object",
    };

    if (value->kind == JSON_STRING || value->kind == JSON_INTEGER)
        *out = json_text(j, value);
    else if (value->kind != JSON_NULL && e->odd.code == OK) /* null is as one that is absent */
        err_set(&e->odd, ERR_INPUT, "bad envelope: %s is %s, not a string or an integer",
                field_names[f], kinds[value->kind]);
}

/* Goes through the members once, which may be many. */
static void read_fields(struct envelope *e, const struct json *j)
{
    struct slice *const out[FIELDS] = {&e->key[0], &e->key[1], &e->key[2], &e->id, &e->type};
    const struct json_token *key = j->tape + 1, *value;

    for (size_t left = j->tape->len; left > 0; left--) {
        struct slice name = json_text(j, key);

        value = json_next(j, key);
        for (int f = 0; f < FIELDS; f++)
            if (slice_is(name, field_names[f]))
                read_field(e, (enum field)f, j, value, out[f]);
        key = json_next(j, value);
    }
}

int envelope_read(struct envelope *e, struct slice body, struct err *err)
{
    struct json j;
    int rc;

    envelope_clear(e);
    rc = json_parse(&j, &e->tape, body.data, body.len, err);
    if (rc == OK && j.tape->kind == JSON_OBJECT)
        read_fields(e, &j);
    return rc;
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

/* What a content type says of its body. */
enum content { CONTENT_JSON, CONTENT_UNSAID, CONTENT_LOOSE, CONTENT_BYTES };

static bool is_word(struct slice s, const char *word)
{
    return s.len == strlen(word) && strncasecmp(s.data, word, s.len) == 0;
}

static bool begins_word(struct slice s, const char *word)
{
    size_t len = strlen(word);

    return s.len >= len && strncasecmp(s.data, word, len) == 0;
}

/* "Application/JSON; charset=utf-8" is application/json: parameters say nothing here. */
static struct slice media_type(struct slice type)
{
    size_t len = 0;

    while (len < type.len && memchr("; \t", type.data[len], 3) == NULL)
        len++;
    return (struct slice){type.data, len};
}

static bool has_json_suffix(struct slice type) /* RFC 6839, 3.1 */
{
    return type.len > 5 && strncasecmp(type.data + type.len - 5, "+json", 5) == 0;
}

/* Widely used clients say octet-stream or text of all that they send, JSON too. */
static enum content content_of(const struct message *m)
{
    struct slice type = media_type(m->content_type);

    if (type.len == 0)
        return CONTENT_UNSAID;
    if (is_word(type, "text/json") || is_word(type, "application/json") ||
        is_word(type, "application/x-json") || has_json_suffix(type))
        return CONTENT_JSON;
    return begins_word(type, "text/") || is_word(type, "application/octet-stream") ? CONTENT_LOOSE
                                                                                   : CONTENT_BYTES;
}

struct slice message_text(const struct message *m)
{
    struct slice body = m->body.data ? m->body : slice_of("");

    if (body.len >= 3 && memcmp(body.data, "\xef\xbb\xbf", 3) == 0)
        body = (struct slice){body.data + 3, body.len - 3};
    return body;
}

/* The first byte that is no white space; 0: there is none. */
static char first_of(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (memchr(" \t\r\n", text.data[i], 4) == NULL)
            return text.data[i];
    return '\0';
}

/* Whether a body that is no JSON is a mistake of its sender. */
static bool json_is_due(const struct message *m)
{
    char first = first_of(message_text(m));

    switch (content_of(m)) {
    case CONTENT_JSON:
        return true;
    case CONTENT_UNSAID:
        return first == '{' || first == '[';
    case CONTENT_LOOSE:
        return first == '{';
    case CONTENT_BYTES:
        break;
    }
    return false;
}

static bool reads_as_json(struct slice text)
{
    struct json j;
    struct buf tape;
    bool reads;

    buf_init(&tape, JSON_TAPE_MAX);
    reads = json_parse(&j, &tape, text.data, text.len, NULL) == OK;
    buf_free(&tape);
    return reads;
}

bool message_is_json(const struct message *m)
{
    switch (content_of(m)) {
    case CONTENT_JSON:
        return true;
    case CONTENT_UNSAID:
        return reads_as_json(message_text(m));
    case CONTENT_LOOSE:
        return json_is_due(m) && reads_as_json(message_text(m));
    case CONTENT_BYTES:
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

#define ENVELOPE_REMEDY ": what its sender means is for the subscription's option `envelope` to say"

/* Says what a body is that was taken for JSON and is none, where that can be seen. */
static void explain_body(const struct message *m, struct err *err)
{
    const char *packed = compression_of(m->body);

    if (m->body.len == 0)
        err_set(err, ERR_INPUT,
                "the body is empty where JSON is due: send an object, or give the subscription "
                "envelope = \"raw\"");
    if (packed != NULL)
        err_set(err, ERR_INPUT,
                "the body is no JSON but looks compressed (%s): have its sender say so by "
                "content_encoding (gzip and deflate are unpacked), or unpack it in a function that "
                "the subscription has as its envelope",
                packed);
}

/* Why the body was not looked at, in words. */
static const char *why_unread(const struct message *m)
{
    switch (content_of(m)) {
    case CONTENT_UNSAID:
        return m->body.len == 0 ? "it is empty" : "it is neither a JSON object nor an array";
    case CONTENT_LOOSE:
        return "it is no JSON object";
    default:
        return "its content type is not one of JSON";
    }
}

/* What was looked for, and where. */
static int no_type(const struct message *m, struct err *err)
{
    int len = m->content_type.len < 100 ? (int)m->content_type.len : 100;
    const char *type = len > 0 ? m->content_type.data : "";

    if (json_is_due(m))
        return err_set(err, ERR_INPUT,
                       "no message type: neither \"messageType\" in the body (JSON, content type "
                       "\"%.*s\") nor the AMQP property \"type\" is set" ENVELOPE_REMEDY,
                       len, type);
    return err_set(err, ERR_INPUT,
                   "no message type: the AMQP property \"type\" is not set, and the body (content "
                   "type \"%.*s\") has no \"messageType\" to find: %s" ENVELOPE_REMEDY,
                   len, type, why_unread(m));
}

int message_resolve(struct message *m, struct envelope *e, struct err *err)
{
    bool named = m->type.len > 0 && m->id.len > 0;
    int rc = OK;

    envelope_clear(e);
    if (json_is_due(m))
        rc = envelope_read(e, message_text(m), err);
    if (rc == ERR_INPUT)
        explain_body(m, err);
    if (rc != OK)
        return rc;
    if (e->odd.code != OK && !named) /* else the fields are somebody else's */
        return err_set(err, ERR_INPUT, "%s" ENVELOPE_REMEDY, e->odd.text);
    if (e->type.data != NULL)
        m->type = e->type;
    for (int i = 0; i < MESSAGE_KEYS; i++)
        if (e->key[i].data != NULL)
            m->key[i] = e->key[i];
    return m->type.len > 0 ? OK : no_type(m, err);
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
