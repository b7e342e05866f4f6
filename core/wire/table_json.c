/* table_json - see table.h: field tables out of JSON text.
 *
 * The events of the JSON reader become bytes at once. A size is only known at the
 * end of its table, so its place is remembered and filled in then. */
#include "base/json.h"
#include "wire/bytes.h"
#include "wire/table.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct writer {
    struct buf *out;                 /* the table's bytes */
    table_take_fn *take;             /* may be NULL */
    void *arg;                       /* of take */
    size_t size_at[TABLE_DEPTH_MAX]; /* where the sizes of the open tables and arrays go */
    int depth;                       /* how many are open, the outermost included */
    size_t fields;                   /* so far */
    size_t name_at;                  /* where the name of the value to come lies in `out` */
    struct err *err;                 /* why a callback said stop */
};

static bool refuse(struct writer *w, const char *why)
{
    err_set(w->err, ERR_INPUT, "headers: %s", why);
    return false;
}

/* Called at the start of every value: only an object may stand at the top. Returns
 * where the kind and `size` bytes of value go, or NULL. */
static char *begin_value(struct writer *w, uint8_t kind, size_t size)
{
    char *p;

    if (w->depth == 0) {
        refuse(w, "not a JSON object");
        return NULL;
    }
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

/* The owner of a field takes it out again: its name was written already. */
static bool taken(struct writer *w, const struct slice *text)
{
    struct slice name;

    if (w->take == NULL || w->depth != 1)
        return false;
    name.len = get8(w->out->data + w->name_at);
    name.data = w->out->data + w->name_at + 1;
    if (!w->take(w->arg, name, text))
        return false;
    w->out->len = w->name_at;
    return true;
}

static bool on_null(void *arg)
{
    return taken(arg, NULL) || begin_value(arg, AMQP_FIELD_KIND_VOID, 0) != NULL;
}

static bool on_boolean(void *arg, bool value)
{
    char *p;

    if (taken(arg, NULL))
        return true;
    p = begin_value(arg, AMQP_FIELD_KIND_BOOLEAN, 1);
    if (p != NULL)
        put8(p, value ? 1 : 0);
    return p != NULL;
}

static bool put_string(struct writer *w, const char *text, size_t len)
{
    char *p = begin_value(w, AMQP_FIELD_KIND_UTF8, len + 4);

    if (p != NULL)
        put_bytes(put32(p, (uint32_t)len), text, len);
    return p != NULL;
}

static bool put_integer(struct writer *w, int64_t value)
{
    bool small = value >= INT32_MIN && value <= INT32_MAX;
    char *p =
        small ? begin_value(w, AMQP_FIELD_KIND_I32, 4) : begin_value(w, AMQP_FIELD_KIND_I64, 8);

    if (p != NULL && small)
        put32(p, (uint32_t)value);
    else if (p != NULL)
        put64(p, (uint64_t)value);
    return p != NULL;
}

static bool put_real(struct writer *w, const char *text)
{
    double value = strtod(text, NULL);
    uint64_t bits;
    char *p;

    if (!isfinite(value))
        return refuse(w, "a number beyond the range of a double");
    p = begin_value(w, AMQP_FIELD_KIND_F64, 8);
    memcpy(&bits, &value, sizeof bits);
    if (p != NULL)
        put64(p, bits);
    return p != NULL;
}

static bool on_number(void *arg, const char *text, size_t len)
{
    struct writer *w = arg;
    char copy[512];
    long long value;

    if (taken(w, NULL))
        return true;
    if (len >= sizeof copy)
        return refuse(w, "a number of more than 511 characters");
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (strpbrk(copy, ".eE") != NULL)
        return put_real(w, copy);
    errno = 0;
    value = strtoll(copy, NULL, 10);
    return errno == 0 ? put_integer(w, value) : put_string(w, text, len);
}

static bool on_string(void *arg, const char *text, size_t len)
{
    struct slice s = {text, len};

    return taken(arg, &s) || put_string(arg, text, len);
}

static bool on_key(void *arg, const char *text, size_t len)
{
    struct writer *w = arg;
    char *p;

    if (len > TABLE_NAME_MAX)
        return refuse(w, "a name of more than 255 bytes");
    w->name_at = w->out->len;
    p = buf_reserve(w->out, len + 1);
    if (p == NULL) {
        err_set(w->err, ERR_LIMIT, "headers: larger than %zu bytes", w->out->max);
        return false;
    }
    put_bytes(put8(p, (uint8_t)len), text, len);
    w->out->len += len + 1;
    return true;
}

static bool on_begin(void *arg, bool array)
{
    struct writer *w = arg;

    if (w->depth == TABLE_DEPTH_MAX) {
        err_set(w->err, ERR_INPUT, "headers: nested deeper than %d", TABLE_DEPTH_MAX);
        return false;
    }
    if (w->depth == 0) { /* the caller writes the size of the outermost */
        if (array)
            return refuse(w, "not a JSON object");
    } else if (taken(w, NULL)) {
        return refuse(w, "an object or array where a plain value is due");
    } else {
        if (begin_value(w, array ? AMQP_FIELD_KIND_ARRAY : AMQP_FIELD_KIND_TABLE, 4) == NULL)
            return false;
        w->size_at[w->depth] = w->out->len - 4;
    }
    w->depth++;
    return true;
}

static bool on_end(void *arg, bool array)
{
    struct writer *w = arg;
    size_t at;

    (void)array;
    if (--w->depth > 0) {
        at = w->size_at[w->depth];
        put32(w->out->data + at, (uint32_t)(w->out->len - at - 4));
    }
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

int table_from_json(struct buf *out, struct slice json, table_take_fn *take, void *arg,
                    struct err *err)
{
    struct err why = {.code = OK};
    struct writer w = {.out = out, .take = take, .arg = arg, .err = &why};
    int rc = json_parse(json.data, json.len, &events, &w, err);

    if (rc == ERR_FAILED) /* a callback said stop and why */
        return err_set(err, why.code, "%s", why.text);
    if (rc != OK && err != NULL)
        err_prefix(err, "headers");
    return rc;
}
