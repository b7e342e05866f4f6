/* table_json - see table.h: field tables out of JSON text.
 *
 * The tokens of the JSON text become bytes. A size is only known at the end of its table, and
 * is filled in then. Depth is bounded by TABLE_DEPTH_MAX, so the walk may recurse. */
#include "base/json_bytes.h"
#include "wire/bytes.h"
#include "wire/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 512 };

struct writer {
    const struct json *json;
    struct buf *out;     /* the table's bytes */
    table_take_fn *take; /* may be NULL */
    void *arg;           /* of take */
    size_t fields;       /* so far */
    struct err *err;
};

static bool refuse(struct writer *w, const char *why)
{
    err_set(w->err, ERR_INPUT, "headers: %s", why);
    return false;
}

/* Writes the kind of a value and returns where its `size` bytes go, or NULL. */
static char *begin_value(struct writer *w, uint8_t kind, size_t size)
{
    char *p;

    if (++w->fields > TABLE_FIELDS_MAX) {
        err_set(w->err, ERR_INPUT, "headers: more than %d fields", TABLE_FIELDS_MAX);
        return NULL;
    }
    p = buf_reserve(w->out, size + 1);
    if (p == NULL) {
        err_set(w->err, ERR_LIMIT, "headers: larger than %zu bytes", w->out->max);
        return NULL;
    }
    w->out->len += size + 1;
    return put8(p, kind);
}

static bool put_string(struct writer *w, struct slice text)
{
    char *p = begin_value(w, AMQP_FIELD_KIND_UTF8, text.len + 4);

    if (p != NULL)
        put_bytes(put32(p, (uint32_t)text.len), text.data, text.len);
    return p != NULL;
}

static bool put_byte_array(struct writer *w, struct slice digits)
{
    size_t size = json_bytes_size(digits);
    char *p = begin_value(w, AMQP_FIELD_KIND_BYTES, size + 4);

    if (p != NULL)
        json_bytes_get(digits, put32(p, (uint32_t)size));
    return p != NULL;
}

static bool refuse_number(struct writer *w)
{
    return refuse(w, "a number of more than 511 characters");
}

/* One that is too large goes as text. */
static bool put_integer(struct writer *w, struct slice text)
{
    int64_t value;
    char *p;

    if (text.len >= NUMBER_MAX)
        return refuse_number(w);
    if (!json_integer(text, &value))
        return put_string(w, text);
    if (value >= INT32_MIN && value <= INT32_MAX) {
        p = begin_value(w, AMQP_FIELD_KIND_I32, 4);
        if (p != NULL)
            put32(p, (uint32_t)value);
    } else {
        p = begin_value(w, AMQP_FIELD_KIND_I64, 8);
        if (p != NULL)
            put64(p, (uint64_t)value);
    }
    return p != NULL;
}

static bool put_real(struct writer *w, struct slice text)
{
    double value = strtod(text.data, NULL);
    uint64_t bits;
    char *p;

    if (text.len >= NUMBER_MAX)
        return refuse_number(w);
    if (!isfinite(value))
        return refuse(w, "a number beyond the range of a double");
    p = begin_value(w, AMQP_FIELD_KIND_F64, 8);
    memcpy(&bits, &value, sizeof bits);
    if (p != NULL)
        put64(p, bits);
    return p != NULL;
}

static bool put_boolean(struct writer *w, bool value)
{
    char *p = begin_value(w, AMQP_FIELD_KIND_BOOLEAN, 1);

    if (p != NULL)
        put8(p, value ? 1 : 0);
    return p != NULL;
}

static bool put_name(struct writer *w, struct slice name)
{
    char *p;

    if (name.len > TABLE_NAME_MAX)
        return refuse(w, "a name of more than 255 bytes");
    p = buf_reserve(w->out, name.len + 1);
    if (p == NULL) {
        err_set(w->err, ERR_LIMIT, "headers: larger than %zu bytes", w->out->max);
        return false;
    }
    put_bytes(put8(p, (uint8_t)name.len), name.data, name.len);
    w->out->len += name.len + 1;
    return true;
}

static bool put_value(struct writer *w, const struct json_token *t, int depth);

/* A field, or what its owner takes out. */
static bool put_field(struct writer *w, const struct json_token *key,
                      const struct json_token *value, int depth)
{
    struct slice name = json_text(w->json, key), text = {NULL, 0};

    if (depth == 1 && name.len <= TABLE_NAME_MAX && w->take != NULL) {
        if (value->kind == JSON_STRING)
            text = json_text(w->json, value);
        if (w->take(w->arg, name, text.data != NULL ? &text : NULL))
            return value->kind < JSON_ARRAY ||
                   refuse(w, "an object or array where a plain value is due");
    }
    return put_name(w, name) && put_value(w, value, depth);
}

/* What is in an array or object. */
static bool put_content(struct writer *w, const struct json_token *t, int depth)
{
    const struct json_token *next = t + 1;
    bool good = true;

    for (size_t left = t->len; left > 0 && good; left--) {
        const struct json_token *key = next;

        if (t->kind == JSON_OBJECT)
            next = json_next(w->json, key);
        good = t->kind == JSON_OBJECT ? put_field(w, key, next, depth) : put_value(w, next, depth);
        next = json_next(w->json, next);
    }
    return good;
}

/* `depth` of tables are around it. */
static bool put_nested(struct writer *w, const struct json_token *t, int depth)
{
    uint8_t kind = t->kind == JSON_ARRAY ? AMQP_FIELD_KIND_ARRAY : AMQP_FIELD_KIND_TABLE;
    size_t begin;

    if (depth == TABLE_DEPTH_MAX) {
        err_set(w->err, ERR_INPUT, "headers: nested deeper than %d", TABLE_DEPTH_MAX);
        return false;
    }
    if (begin_value(w, kind, 4) == NULL)
        return false;
    begin = w->out->len;
    if (!put_content(w, t, depth + 1))
        return false;
    put32(w->out->data + begin - 4, (uint32_t)(w->out->len - begin));
    return true;
}

static bool put_value(struct writer *w, const struct json_token *t, int depth)
{
    struct slice digits;

    switch ((enum json_kind)t->kind) {
    case JSON_NULL:
        return begin_value(w, AMQP_FIELD_KIND_VOID, 0) != NULL;
    case JSON_FALSE:
    case JSON_TRUE:
        return put_boolean(w, t->kind == JSON_TRUE);
    case JSON_INTEGER:
        return put_integer(w, json_text(w->json, t));
    case JSON_REAL:
        return put_real(w, json_text(w->json, t));
    case JSON_STRING:
        return put_string(w, json_text(w->json, t));
    case JSON_ARRAY:
        break;
    case JSON_OBJECT:
        if (json_bytes(w->json, t, &digits))
            return put_byte_array(w, digits);
        break;
    }
    return put_nested(w, t, depth);
}

int table_from_json(struct buf *out, struct slice json, table_take_fn *take, void *arg,
                    struct err *err)
{
    struct err why = {.code = OK};
    struct json j;
    struct writer w = {.json = &j, .out = out, .take = take, .arg = arg, .err = &why};
    struct buf tape;
    int rc;

    buf_init(&tape, JSON_TAPE_MAX);
    rc = json_parse(&j, &tape, json.data, json.len, err);
    if (rc != OK && err != NULL)
        err_prefix(err, "headers");
    else if (rc == OK && j.tape->kind != JSON_OBJECT)
        rc = err_set(err, ERR_INPUT, "headers: not a JSON object");
    else if (rc == OK && !put_content(&w, j.tape, 1))
        rc = err_set(err, why.code, "%s", why.text);
    buf_free(&tape);
    return rc;
}
