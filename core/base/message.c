/* message - see message.h. */
#include "base/message.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What a top-level key of the body means; -1: nothing. */
enum field { FIELD_NONE = -1, FIELD_KEY1, FIELD_KEY2, FIELD_KEY3, FIELD_ID, FIELD_TYPE, FIELDS };

static const char *const field_names[FIELDS] = {"businessKey1", "businessKey2", "businessKey3",
                                                "id", "messageType"};

/* While reading, a field is an offset into the envelope's store, which moves
 * when it grows; slices are made at the end. */
struct span {
    bool present;
    size_t at;
    size_t len;
};

struct envelope_reader {
    struct buf *store;
    struct span found[FIELDS];
    enum field field; /* of the key just read */
    size_t depth;
    char why[96]; /* what is wrong with a field */
};

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
    buf_init(&e->store, MESSAGE_BODY_MAX);
}

void envelope_free(struct envelope *e)
{
    buf_free(&e->store);
}

/* True where a value belongs to a field of the envelope. */
static bool wanted(const struct envelope_reader *r)
{
    return r->depth == 1 && r->field != FIELD_NONE;
}

static bool keep(struct envelope_reader *r, const char *text, size_t len)
{
    size_t at = r->store->len;

    if (buf_append(r->store, text, len) != OK) {
        snprintf(r->why, sizeof r->why, "out of memory");
        return false;
    }
    r->found[r->field] = (struct span){.present = true, .at = at, .len = len};
    return true;
}

static bool refuse(struct envelope_reader *r, const char *what)
{
    snprintf(r->why, sizeof r->why, "%s is %s, not a string or an integer", field_names[r->field],
             what);
    return false;
}

static bool on_null(void *arg)
{
    (void)arg; /* a null field is an absent one */
    return true;
}

static bool on_boolean(void *arg, bool value)
{
    (void)value;
    return wanted(arg) ? refuse(arg, "a boolean") : true;
}

static bool on_number(void *arg, const char *text, size_t len)
{
    struct envelope_reader *r = arg;

    if (!wanted(r))
        return true;
    for (size_t i = 0; i < len; i++)
        if (strchr(".eE", text[i]) != NULL)
            return refuse(r, "a number with a fraction or an exponent");
    return keep(r, text, len);
}

static bool on_string(void *arg, const char *text, size_t len)
{
    return wanted(arg) ? keep(arg, text, len) : true;
}

static bool on_key(void *arg, const char *text, size_t len)
{
    struct envelope_reader *r = arg;

    if (r->depth != 1)
        return true;
    r->field = FIELD_NONE;
    for (int i = 0; i < FIELDS; i++)
        if (slice_is((struct slice){text, len}, field_names[i]))
            r->field = (enum field)i;
    return true;
}

static bool on_begin(void *arg, bool array)
{
    struct envelope_reader *r = arg;

    if (wanted(r))
        return refuse(r, array ? "an array" : "an object");
    if (r->depth == 0 && array)
        r->depth++; /* fields live in a top-level object only: never at depth 1 */
    r->depth++;
    return true;
}

static bool on_end(void *arg, bool array)
{
    struct envelope_reader *r = arg;

    (void)array;
    r->depth--;
    return true;
}

static const struct json_events events = {
    .null = on_null,
    .boolean = on_boolean,
    .number = on_number,
    .string = on_string,
    .key = on_key,
    .begin = on_begin,
    .end = on_end,
};

static struct slice slice_at(const struct envelope *e, const struct span *s)
{
    if (!s->present)
        return (struct slice){NULL, 0};
    return (struct slice){s->len > 0 ? e->store.data + s->at : "", s->len};
}

int envelope_read(struct envelope *e, struct slice body, struct err *err)
{
    struct envelope_reader r = {.store = &e->store, .field = FIELD_NONE};
    int rc;

    buf_clear(&e->store);
    rc = json_parse(body.data, body.len, &events, &r, err);
    if (rc == ERR_FAILED)
        rc = e->store.failed ? err_set(err, ERR_NOMEM, "out of memory")
                             : err_set(err, ERR_INPUT, "bad envelope: %s", r.why);
    for (int i = 0; i < MESSAGE_KEYS; i++)
        e->key[i] = slice_at(e, &r.found[FIELD_KEY1 + i]);
    e->id = slice_at(e, &r.found[FIELD_ID]);
    e->type = slice_at(e, &r.found[FIELD_TYPE]);
    return rc;
}

/* Looks for one header of the top level. */
struct header_reader {
    struct buf *out;
    size_t depth;
    bool wanted; /* the value that comes next is the one */
    bool found;
};

static bool pass_null(void *arg)
{
    ((struct header_reader *)arg)->wanted = false;
    return true;
}

static bool pass_boolean(void *arg, bool value)
{
    (void)value;
    return pass_null(arg);
}

static bool pass_number(void *arg, const char *text, size_t len)
{
    (void)text;
    (void)len;
    return pass_null(arg);
}

static bool take_string(void *arg, const char *text, size_t len)
{
    struct header_reader *r = arg;

    if (r->wanted)
        r->found = buf_append(r->out, text, len) == OK;
    return pass_null(arg);
}

static bool look_at_key(void *arg, const char *text, size_t len)
{
    struct header_reader *r = arg;
    struct slice name = {text, len};

    r->wanted = r->depth == 1 && (slice_is(name, "content-type") || slice_is(name, "content_type"));
    return true;
}

static bool go_down(void *arg, bool array)
{
    (void)array;
    ((struct header_reader *)arg)->depth++;
    return pass_null(arg);
}

static bool go_up(void *arg, bool array)
{
    (void)array;
    ((struct header_reader *)arg)->depth--;
    return true;
}

bool message_content_type(struct slice headers, struct buf *out)
{
    static const struct json_events look = {
        .null = pass_null,
        .boolean = pass_boolean,
        .number = pass_number,
        .string = take_string,
        .key = look_at_key,
        .begin = go_down,
        .end = go_up,
    };
    struct header_reader r = {.out = out};

    buf_clear(out);
    if (headers.data == NULL || json_parse(headers.data, headers.len, &look, &r, NULL) != OK)
        return false;
    return r.found;
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

bool message_is_json(const struct message *m)
{
    static const struct json_events no_events = {.null = NULL};

    switch (reading_of(m->content_type)) {
    case READ_JSON:
        return true;
    case READ_OBJECT:
        return begins_object(m->body) &&
               json_parse(m->body.data, m->body.len, &no_events, NULL, NULL) == OK;
    case READ_BYTES:
        break;
    }
    return false;
}

static void envelope_clear(struct envelope *e)
{
    buf_clear(&e->store);
    e->type = e->id = e->key[0] = e->key[1] = e->key[2] = (struct slice){NULL, 0};
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

static void put_member(struct buf *b, const char *name, struct slice value, bool *first)
{
    if (value.data == NULL)
        return;
    buf_printf(b, "%s\"%s\":", *first ? "" : ",", name);
    json_put_string(b, value.data, value.len);
    *first = false;
}

int message_default_body(struct buf *b, const struct message *m, int64_t id)
{
    bool first = true;

    buf_text(b, "{");
    for (int i = 0; i < MESSAGE_KEYS; i++)
        put_member(b, field_names[i], m->key[i], &first);
    buf_printf(b, "%s\"id\":%lld", first ? "" : ",", (long long)id);
    first = false;
    put_member(b, "messageType", m->type, &first);
    buf_text(b, "}");
    return b->failed ? ERR_LIMIT : OK;
}
