/* table - see table.h: the walk that comes before the decoder, and the way to JSON. */
#include "wire/table.h"

#include "base/json_bytes.h"
#include "wire/bytes.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A walk over bytes that nobody has checked yet. */
struct walk {
    const char *at;  /* the next byte */
    const char *end; /* of the table or array that is being walked */
    int depth;       /* of the table or array that is being walked */
    char *flat;      /* the same bytes to write to: what is too deep is flattened; or NULL */
    const char *bytes;
    struct err *err; /* what is wrong */
};

static size_t left(const struct walk *w)
{
    return (size_t)(w->end - w->at);
}

static int damaged(struct walk *w)
{
    return err_set(w->err, ERR_INPUT, "damaged header table: a value ends beyond its table");
}

static int skip(struct walk *w, size_t n)
{
    if (left(w) < n)
        return damaged(w);
    w->at += n;
    return OK;
}

/* Bytes of a value after its kind, of those that have a fixed size; -1: no such. */
static int fixed_size(uint8_t kind)
{
    switch (kind) {
    case AMQP_FIELD_KIND_VOID:
        return 0;
    case AMQP_FIELD_KIND_BOOLEAN:
    case AMQP_FIELD_KIND_I8:
    case AMQP_FIELD_KIND_U8:
        return 1;
    case AMQP_FIELD_KIND_I16:
    case AMQP_FIELD_KIND_U16:
        return 2;
    case AMQP_FIELD_KIND_I32:
    case AMQP_FIELD_KIND_U32:
    case AMQP_FIELD_KIND_F32:
        return 4;
    case AMQP_FIELD_KIND_DECIMAL:
        return 5;
    case AMQP_FIELD_KIND_I64:
    case AMQP_FIELD_KIND_U64:
    case AMQP_FIELD_KIND_F64:
    case AMQP_FIELD_KIND_TIMESTAMP:
        return 8;
    default:
        return -1;
    }
}

static int walk_fields(struct walk *w, bool named);

/* A size and that many bytes, which are fields, items, or nothing to look into. */
static int walk_sized(struct walk *w, uint8_t kind)
{
    const char *outer = w->end;
    uint32_t size;
    int rc;

    if (left(w) < 4)
        return damaged(w);
    size = get32(w->at);
    w->at += 4;
    if (left(w) < size)
        return damaged(w);
    if (kind == AMQP_FIELD_KIND_UTF8 || kind == AMQP_FIELD_KIND_BYTES)
        return skip(w, size);
    if (w->depth == TABLE_DEPTH_MAX && w->flat != NULL) {
        put8(w->flat + (w->at - 5 - w->bytes), AMQP_FIELD_KIND_BYTES);
        return skip(w, size);
    }
    w->end = w->at + size;
    rc = walk_fields(w, kind == AMQP_FIELD_KIND_TABLE);
    w->end = outer;
    return rc;
}

static int walk_value(struct walk *w)
{
    uint8_t kind;
    int fixed;

    if (left(w) < 1)
        return damaged(w);
    kind = get8(w->at++);
    fixed = fixed_size(kind);
    if (fixed >= 0)
        return skip(w, (size_t)fixed);
    if (kind == AMQP_FIELD_KIND_UTF8 || kind == AMQP_FIELD_KIND_BYTES ||
        kind == AMQP_FIELD_KIND_TABLE || kind == AMQP_FIELD_KIND_ARRAY)
        return walk_sized(w, kind);
    return err_set(w->err, ERR_INPUT, "damaged header table: a value of unknown kind 0x%02x",
                   (unsigned)kind);
}

/* Recursion is safe here: its depth is what is being limited. */
static int walk_fields(struct walk *w, bool named)
{
    int rc = OK;

    if (w->depth == TABLE_DEPTH_MAX)
        return err_set(w->err, ERR_LIMIT, "headers nested deeper than %d", TABLE_DEPTH_MAX);
    w->depth++;
    while (rc == OK && w->at < w->end) {
        if (named)
            rc = skip(w, (size_t)get8(w->at) + 1);
        if (rc == OK)
            rc = walk_value(w);
    }
    w->depth--;
    return rc;
}

int table_check(const char *bytes, size_t len, size_t *size_out, struct err *err)
{
    struct walk w = {.at = bytes, .end = bytes + len, .err = err};

    *size_out = 0;
    if (len < 4 || len - 4 < get32(bytes))
        return err_set(err, ERR_INPUT, "damaged header table: it ends beyond its frame");
    *size_out = (size_t)get32(bytes) + 4;
    return walk_sized(&w, AMQP_FIELD_KIND_TABLE);
}

void table_flatten(char *bytes, size_t len)
{
    struct err err = {.code = OK};
    struct walk w = {.at = bytes, .end = bytes + len, .flat = bytes, .bytes = bytes, .err = &err};

    (void)walk_sized(&w, AMQP_FIELD_KIND_TABLE); /* table_check has said what it is */
}

/* The shortest text that reads as the same value; a whole one keeps its ".0". */
static int put_real(struct buf *out, double value, bool single)
{
    char text[40];

    if (!isfinite(value))
        return buf_text(out, isnan(value) ? "\"nan\"" : value > 0 ? "\"inf\"" : "\"-inf\"");
    for (int digits = single ? 6 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (single ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value)
            break;
    }
    buf_text(out, text);
    return strpbrk(text, ".e") != NULL ? OK : buf_text(out, ".0");
}

/* 12345 with 2 decimals is 123.45. */
static int put_decimal(struct buf *out, amqp_decimal_t d)
{
    int32_t value = (int32_t)d.value; /* RabbitMQ reads and writes it signed */
    char digits[12];
    int n = snprintf(digits, sizeof digits, "%" PRId64, value < 0 ? -(int64_t)value : value);

    if (value < 0)
        buf_text(out, "-");
    if (d.decimals == 0)
        return buf_text(out, digits);
    if (n > d.decimals)
        return buf_printf(out, "%.*s.%s", n - d.decimals, digits, digits + n - d.decimals);
    return buf_printf(out, "0.%0*d%s", d.decimals - n, 0, digits);
}

bool table_integer(const amqp_field_value_t *value, char out[static 24])
{
    int64_t n;

    switch (value->kind) {
    case AMQP_FIELD_KIND_I8:
        n = value->value.i8;
        break;
    case AMQP_FIELD_KIND_U8:
        n = value->value.u8;
        break;
    case AMQP_FIELD_KIND_I16:
        n = value->value.i16;
        break;
    case AMQP_FIELD_KIND_U16:
        n = value->value.u16;
        break;
    case AMQP_FIELD_KIND_I32:
        n = value->value.i32;
        break;
    case AMQP_FIELD_KIND_U32:
        n = value->value.u32;
        break;
    case AMQP_FIELD_KIND_I64:
        n = value->value.i64;
        break;
    case AMQP_FIELD_KIND_U64:
    case AMQP_FIELD_KIND_TIMESTAMP:
        snprintf(out, 24, "%" PRIu64, value->value.u64);
        return true;
    default:
        return false;
    }
    snprintf(out, 24, "%" PRId64, n);
    return true;
}

static int put_value(struct buf *out, const amqp_field_value_t *v);

static int put_array(struct buf *out, const amqp_array_t *array)
{
    buf_text(out, "[");
    for (int i = 0; i < array->num_entries; i++) {
        if (i > 0)
            buf_text(out, ",");
        put_value(out, &array->entries[i]);
    }
    return buf_text(out, "]");
}

static int put_value(struct buf *out, const amqp_field_value_t *v)
{
    char digits[24];

    if (table_integer(v, digits))
        return buf_text(out, digits);
    switch (v->kind) {
    case AMQP_FIELD_KIND_BOOLEAN:
        return buf_text(out, v->value.boolean ? "true" : "false");
    case AMQP_FIELD_KIND_F32:
        return put_real(out, (double)v->value.f32, true);
    case AMQP_FIELD_KIND_F64:
        return put_real(out, v->value.f64, false);
    case AMQP_FIELD_KIND_DECIMAL:
        return put_decimal(out, v->value.decimal);
    case AMQP_FIELD_KIND_UTF8:
        return json_put_text_or_bytes(out, v->value.bytes.bytes, v->value.bytes.len);
    case AMQP_FIELD_KIND_BYTES:
        return json_put_bytes(out, v->value.bytes.bytes, v->value.bytes.len);
    case AMQP_FIELD_KIND_TABLE:
        return table_to_json(out, &v->value.table, NULL, NULL);
    case AMQP_FIELD_KIND_ARRAY:
        return put_array(out, &v->value.array);
    default:
        return buf_text(out, "null");
    }
}

enum { NAMES_MAX = 16 * 1024 * 1024 }; /* bytes, escaped: six times what a frame may hold */

/* The name of a field, as JSON has it: names that are no UTF-8 may become the same text. */
struct shown {
    size_t at, len; /* of the text of all names */
    bool repeated;  /* a later field has the same */
};

static bool same_name(const char *text, const struct shown *one, const struct shown *other)
{
    return one->len == other->len && memcmp(text + one->at, text + other->at, one->len) == 0;
}

/* Strict readers refuse an object with a name twice, and the last one counts. `met` is a hash table
 * of the names that were met, index + 1, from the end on. */
static void find_repeated(struct shown *names, int n, const char *text, int *met, size_t cap)
{
    for (int i = n - 1; i >= 0; i--) {
        size_t at = (size_t)text_hash(TEXT_HASH_START, text + names[i].at, names[i].len);

        for (at &= cap - 1; met[at] != 0; at = (at + 1) & (cap - 1))
            if (same_name(text, &names[i], &names[met[at] - 1]))
                break;
        names[i].repeated = met[at] != 0;
        met[at] = met[at] != 0 ? met[at] : i + 1;
    }
}

/* Writes the names into `text`. NULL: out of memory. */
static struct shown *show_names(const amqp_table_t *table, struct buf *text)
{
    size_t n = (size_t)table->num_entries, cap = 16;
    struct shown *names = calloc(n + 1, sizeof *names);
    int *met;

    while (cap < 2 * n)
        cap *= 2;
    met = calloc(cap, sizeof *met);
    for (size_t i = 0; names != NULL && i < n; i++) {
        names[i].at = text->len;
        json_put_string(text, table->entries[i].key.bytes, table->entries[i].key.len);
        names[i].len = text->len - names[i].at;
    }
    if (met == NULL || text->failed) {
        free(names);
        names = NULL;
    }
    if (names != NULL)
        find_repeated(names, (int)n, text->data, met, cap);
    free(met);
    return names;
}

int table_to_json(struct buf *out, const amqp_table_t *table, table_skip_fn *skip_entry, void *arg)
{
    struct shown *names;
    bool first = true;
    struct buf text;

    buf_init(&text, NAMES_MAX);
    names = show_names(table, &text);
    out->failed = out->failed || names == NULL;
    buf_text(out, "{");
    for (int i = 0; names != NULL && i < table->num_entries; i++) {
        const amqp_table_entry_t *e = &table->entries[i];

        if (names[i].repeated || (skip_entry != NULL && skip_entry(arg, e)))
            continue;
        if (!first)
            buf_text(out, ",");
        first = false;
        buf_append(out, text.data + names[i].at, names[i].len);
        buf_text(out, ":");
        put_value(out, &e->value);
    }
    buf_text(out, "}");
    free(names);
    buf_free(&text);
    return !out->failed ? OK : out->cap > out->max / 2 ? ERR_LIMIT : ERR_NOMEM;
}
