/* format - see format.h. Tried with NestJS 11, Celery 5.2 and the CloudEvents SDK 10 of Node; of
 * the others their source was read. */
#include "base/format.h"

#include "base/clock.h"
#include "base/json_bytes.h"
#include "base/properties.h"

#include <stdio.h>
#include <string.h>

enum { GUID_SIZE = 37, TIME_SIZE = 40, BUF_MAX = 8 * MESSAGE_BODY_MAX };

static const char *const names[FORMATS] = {
    [FORMAT_NONE] = "",           [FORMAT_NESTJS] = "nestjs",           [FORMAT_CELERY] = "celery",
    [FORMAT_CAP] = "cap",         [FORMAT_CLOUDEVENTS] = "cloudevents", [FORMAT_SPRING] = "spring",
    [FORMAT_SYMFONY] = "symfony", [FORMAT_MASSTRANSIT] = "masstransit"};

const char *format_name(enum message_format f)
{
    return names[f];
}

enum message_format format_of(const char *name)
{
    for (int f = FORMAT_NONE + 1; name != NULL && f < FORMATS; f++)
        if (strcmp(name, names[f]) == 0)
            return (enum message_format)f;
    return FORMAT_NONE;
}

void formatted_init(struct formatted *f)
{
    buf_init(&f->body, BUF_MAX);
    buf_init(&f->headers, BUF_MAX);
    buf_init(&f->properties, PROPERTIES_JSON_MAX);
}

void formatted_free(struct formatted *f)
{
    buf_free(&f->body);
    buf_free(&f->headers);
    buf_free(&f->properties);
}

/* The message at hand, and what becomes of it. */
struct shape {
    const struct message *m;
    struct slice body; /* its text */
    bool json;         /* that is JSON, of this kind */
    enum json_kind kind;
    struct properties own; /* as they become */
    const char *time;      /* when it was written, ISO 8601 */
    struct formatted *out;
};

/* A header that the format needs. */
struct extra {
    const char *name;
    struct slice value;
};

static void read_body(struct shape *s)
{
    struct json j;
    struct buf tape;

    s->body = message_text(s->m);
    buf_init(&tape, JSON_TAPE_MAX);
    s->json = json_parse(&j, &tape, s->body.data, s->body.len, NULL) == OK;
    s->kind = s->json ? (enum json_kind)j.tape->kind : JSON_NULL;
    buf_free(&tape);
}

/* What the author says himself stays. */
static void set_default(struct shape *s, enum property_text which, struct slice value)
{
    if (s->own.text[which].data == NULL)
        s->own.text[which] = value;
}

static int need_json(const struct shape *s, enum message_format f, struct err *err)
{
    if (s->json)
        return OK;
    return err_set(err, ERR_INPUT, "the body is no JSON, which format = \"%s\" needs", names[f]);
}

/* The author's object up to its last brace, or the beginning of one. */
static void begin_headers(struct buf *b, struct slice headers)
{
    size_t len = headers.len;

    while (len > 0 && headers.data[len - 1] != '}')
        len--;
    len -= len > 0;
    while (len > 0 && memchr(" \t\r\n", headers.data[len - 1], 4) != NULL)
        len--;
    if (len > 0)
        buf_append(b, headers.data, len);
    else
        buf_text(b, "{");
}

static int put_headers(struct shape *s, const struct extra *extras, size_t n, struct err *err)
{
    struct slice headers = s->m->headers.len > 0 ? s->m->headers : slice_of("{}");
    struct buf *b = &s->out->headers, tape;
    struct json j;
    int rc;

    buf_init(&tape, JSON_TAPE_MAX);
    rc = json_parse(&j, &tape, headers.data, headers.len, err);
    if (rc == OK && j.tape->kind != JSON_OBJECT)
        rc = err_set(err, ERR_INPUT, "not a JSON object");
    if (rc != OK)
        err_prefix(err, "headers");
    if (rc == OK)
        begin_headers(b, headers);
    for (size_t i = 0; i < n && rc == OK; i++)
        if (json_member(&j, j.tape, extras[i].name) == NULL)
            json_add_text(b, extras[i].name, extras[i].value);
    buf_free(&tape);
    if (rc == OK)
        json_end(b, "}");
    return rc;
}

static void keep_body(struct shape *s)
{
    buf_append(&s->out->body, s->m->body.data, s->m->body.len);
}

/* With an id it is a request, which is answered. */
static int nestjs(struct shape *s, struct err *err)
{
    struct slice id = s->own.text[PROPERTY_CORRELATION_ID];
    struct buf *b = &s->out->body;
    int rc = need_json(s, FORMAT_NESTJS, err);

    if (rc != OK)
        return rc;
    s->own.text[PROPERTY_CONTENT_TYPE] = slice_of("application/json");
    json_add_object(b, NULL);
    json_add_text(b, "pattern", s->m->type);
    json_add_raw(b, "data", s->body);
    if (id.data != NULL && s->own.text[PROPERTY_REPLY_TO].data != NULL)
        json_add_text(b, "id", id);
    json_end(b, "}");
    return put_headers(s, NULL, 0, err);
}

/* Of an array its items are the arguments, of an object its members; anything else is the first
 * one. */
static int celery(struct shape *s, struct err *err)
{
    static const char *const around[][2] = {{"[", ",{},"}, {"[[],", ","}, {"[[", "],{},"}};
    const char *const *a = s->kind == JSON_ARRAY    ? around[0]
                           : s->kind == JSON_OBJECT ? around[1]
                                                    : around[2];
    const struct extra extras[] = {
        {"task", s->m->type}, {"id", s->m->id}, {"lang", slice_of("py")}, {"root_id", s->m->id}};
    struct buf *b = &s->out->body;
    int rc = need_json(s, FORMAT_CELERY, err);

    if (rc != OK)
        return rc;
    buf_text(b, a[0]);
    buf_append(b, s->body.data, s->body.len);
    buf_text(b, a[1]);
    buf_text(b, "{\"callbacks\":null,\"errbacks\":null,\"chain\":null,\"chord\":null}]");
    s->own.text[PROPERTY_CONTENT_TYPE] = slice_of("application/json");
    s->own.text[PROPERTY_CONTENT_ENCODING] = slice_of("utf-8");
    set_default(s, PROPERTY_CORRELATION_ID, s->m->id);
    return put_headers(s, extras, sizeof extras / sizeof extras[0], err);
}

/* Its header would name the type of what is inside. */
static struct slice type_inside(const struct shape *s, struct buf *room)
{
    struct slice type = s->own.text[PROPERTY_CONTENT_TYPE];

    if (type.data != NULL)
        return type;
    if (message_content_type(s->m->headers, room))
        return (struct slice){room->data, room->len};
    return slice_of("application/json");
}

static int cloudevents(struct shape *s, struct err *err)
{
    struct slice source = s->own.text[PROPERTY_APP_ID];
    struct buf *b = &s->out->body, room;

    buf_init(&room, PROPERTY_TEXT_MAX + 1);
    json_add_object(b, NULL);
    json_add_string(b, "specversion", "1.0");
    json_add_text(b, "id", s->m->id);
    json_add_text(b, "source", source.len > 0 ? source : slice_of("herald"));
    json_add_text(b, "type", s->m->type);
    json_add_string(b, "time", s->time);
    if (s->m->key[0].len > 0)
        json_add_text(b, "subject", s->m->key[0]);
    json_add_text(b, "datacontenttype", type_inside(s, &room));
    if (s->json) {
        json_add_raw(b, "data", s->body);
    } else {
        json_add_raw(b, "data_base64", slice_of("\""));
        json_put_base64(b, s->m->body.data, s->m->body.len);
        buf_text(b, "\"");
    }
    json_end(b, "}");
    buf_free(&room);
    s->own.text[PROPERTY_CONTENT_TYPE] = slice_of("application/cloudevents+json; charset=utf-8");
    return put_headers(s, NULL, 0, err);
}

static bool is_guid(struct slice s)
{
    if (s.len != GUID_SIZE - 1)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? s.data[i] != '-' : memchr("0123456789abcdefABCDEF", s.data[i], 22) == NULL)
            return false;
    }
    return true;
}

/* The id where it is one, else one that is always the same for it (RFC 9562, version 8). */
static struct slice guid_of(struct slice id, char room[GUID_SIZE])
{
    uint64_t high = text_hash(TEXT_HASH_START, id.data, id.len);
    uint64_t low = text_hash(text_hash(high, "guid", 4), id.data, id.len);

    if (is_guid(id))
        return id;
    high = (high & ~UINT64_C(0xf000)) | 0x8000;
    low = (low & (UINT64_MAX >> 2)) | UINT64_C(0x8000000000000000);
    snprintf(room, GUID_SIZE, "%08llx-%04llx-%04llx-%04llx-%012llx",
             (unsigned long long)(high >> 32), (unsigned long long)(high >> 16 & 0xffff),
             (unsigned long long)(high & 0xffff), (unsigned long long)(low >> 48),
             (unsigned long long)(low & UINT64_C(0xffffffffffff)));
    return (struct slice){room, GUID_SIZE - 1};
}

/* "Shop.Orders.OrderPaid" is urn:message:Shop.Orders:OrderPaid; with a colon it is said already. */
static void put_urn(struct buf *b, struct slice type)
{
    char urn[300];
    char *dot;

    snprintf(urn, sizeof urn, "%.*s", (int)type.len, type.data);
    dot = strchr(urn, ':') == NULL ? strrchr(urn, '.') : NULL;
    if (dot != NULL)
        *dot = ':';
    json_add_array(b, "messageType");
    if (strncmp(urn, "urn:message:", 12) == 0) {
        json_add_string(b, NULL, urn);
    } else {
        char whole[320];

        snprintf(whole, sizeof whole, "urn:message:%s", urn);
        json_add_string(b, NULL, whole);
    }
    json_end(b, "]");
}

static int masstransit(struct shape *s, struct err *err)
{
    struct slice correlation = s->own.text[PROPERTY_CORRELATION_ID];
    char room[GUID_SIZE];
    struct slice id = guid_of(s->m->id, room);
    struct buf *b = &s->out->body;

    if (!s->json || s->kind != JSON_OBJECT)
        return err_set(err, ERR_INPUT,
                       "the body is no JSON object, which format = \"masstransit\" needs");
    json_add_object(b, NULL);
    json_add_text(b, "messageId", id);
    json_add_text(b, "conversationId", id);
    if (correlation.data != NULL && is_guid(correlation))
        json_add_text(b, "correlationId", correlation);
    put_urn(b, s->m->type);
    json_add_raw(b, "message", s->body);
    json_add_string(b, "sentTime", s->time);
    json_add_raw(b, "headers", slice_of("{}"));
    json_end(b, "}");
    s->own.text[PROPERTY_CONTENT_TYPE] = slice_of("application/vnd.masstransit+json");
    return put_headers(s, NULL, 0, err);
}

static int cap(struct shape *s, struct err *err)
{
    struct slice correlation = s->own.text[PROPERTY_CORRELATION_ID];
    const struct extra extras[] = {
        {"cap-msg-id", s->m->id},
        {"cap-msg-name", s->m->type},
        {"cap-senttime", slice_of(s->time)},
        {"cap-corr-id", correlation.data != NULL ? correlation : s->m->id},
        {"cap-corr-seq", slice_of("0")}};

    keep_body(s);
    return put_headers(s, extras, sizeof extras / sizeof extras[0], err);
}

static int symfony(struct shape *s, struct err *err)
{
    const struct extra extras[] = {{"type", s->m->type}};

    keep_body(s);
    return put_headers(s, extras, 1, err);
}

static int spring(struct shape *s, struct err *err)
{
    const struct extra extras[] = {{"__TypeId__", s->m->type}};

    keep_body(s);
    set_default(s, PROPERTY_CONTENT_ENCODING, slice_of("UTF-8"));
    return put_headers(s, extras, 1, err);
}

static int (*const makers[FORMATS])(struct shape *s, struct err *err) = {
    [FORMAT_NESTJS] = nestjs, [FORMAT_CELERY] = celery,   [FORMAT_CLOUDEVENTS] = cloudevents,
    [FORMAT_CAP] = cap,       [FORMAT_SYMFONY] = symfony, [FORMAT_MASSTRANSIT] = masstransit,
    [FORMAT_SPRING] = spring};

/* As a row may have it. */
static int check_made(const struct shape *s, enum message_format f, struct err *err)
{
    const struct formatted *out = s->out;
    const struct message *m = s->m;
    size_t size = out->body.len + out->headers.len + out->properties.len + m->id.len + m->type.len;

    if (out->body.failed || out->headers.failed || out->properties.failed)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (int i = 0; i < MESSAGE_KEYS; i++)
        size += m->key[i].len;
    if (size > MESSAGE_BODY_MAX)
        return err_set(err, ERR_INPUT,
                       "in format \"%s\" the message has %zu bytes, over the limit of %d", names[f],
                       size, MESSAGE_BODY_MAX);
    return OK;
}

int format_message(struct formatted *out, enum message_format f, const struct message *m,
                   int64_t at_ms, struct err *err)
{
    char time[TIME_SIZE];
    struct shape s = {.m = m, .out = out, .time = time};
    int rc;

    REQUIRE(f > FORMAT_NONE && f < FORMATS);
    clock_iso8601(at_ms, time, sizeof time);
    read_body(&s);
    properties_init(&s.own);
    rc = properties_read(&s.own, m->properties, err);
    if (rc == OK)
        rc = makers[f](&s, err);
    if (rc == OK)
        properties_write(&out->properties, &s.own, false);
    if (rc == OK && slice_is((struct slice){out->headers.data, out->headers.len}, "{}"))
        buf_clear(&out->headers);
    properties_free(&s.own);
    return rc == OK ? check_made(&s, f, err) : rc;
}
