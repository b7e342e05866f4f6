/*
 * json - see json.h. yajl reads the grammar; this file writes the tape and adds the depth limit,
 * the duplicate-key check and places in error messages.
 *
 * Keys seen so far are kept as 64-bit fingerprints of (object, key) in an open
 * hash table: two different keys of one object collide once in 2^64 tries, and
 * who forces that harms only his own message.
 */
#include "base/json.h"

#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

enum { SEEN_FIRST = 64, TAPE_FIRST = 64 * 1024, TAPE_KEPT = 1024 * 1024 };

struct seen {
    uint64_t *slot; /* 0: free */
    size_t cap;     /* a power of two */
    size_t used;
    uint64_t first[SEEN_FIRST]; /* enough for most bodies, so most need no malloc */
};

struct reader {
    struct buf *tape;
    const char *text;
    size_t len;
    struct seen seen;
    size_t depth;
    uint32_t open[JSON_DEPTH_MAX]; /* token of the open array or object per level */
    int code;                      /* why a callback stopped the parse */
    const char *why;               /* in words */
    char key[64];                  /* the duplicate key, cut */
};

/* Its slots are zeros. */
static void seen_init(struct seen *s)
{
    s->slot = s->first;
    s->cap = SEEN_FIRST;
    s->used = 0;
}

static void seen_free(struct seen *s)
{
    if (s->slot != s->first)
        free(s->slot);
}

/* Puts the print into the table; returns false when it was there already. */
static bool seen_put(uint64_t *slot, size_t cap, uint64_t print)
{
    size_t i = (size_t)print & (cap - 1);

    while (slot[i] != 0) {
        if (slot[i] == print)
            return false;
        i = (i + 1) & (cap - 1);
    }
    slot[i] = print;
    return true;
}

static int seen_grow(struct seen *s)
{
    uint64_t *slot = calloc(s->cap * 2, sizeof *slot);

    if (slot == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < s->cap; i++)
        if (s->slot[i] != 0)
            seen_put(slot, s->cap * 2, s->slot[i]);
    seen_free(s);
    s->slot = slot;
    s->cap *= 2;
    return OK;
}

static int stop(struct reader *r, int code, const char *why)
{
    r->code = code;
    r->why = why;
    return 0;
}

static bool make_room(struct reader *r, size_t size)
{
    if (buf_reserve(r->tape, size) != NULL)
        return true;
    if (r->tape->max - r->tape->len < size)
        stop(r, ERR_INPUT, "too many values");
    else
        stop(r, ERR_NOMEM, "out of memory");
    return false;
}

/* Appends a token that has `behind` bytes behind it. NULL: the parse is stopped. */
static struct json_token *add(struct reader *r, enum json_kind kind, size_t at, size_t len,
                              size_t behind)
{
    size_t size = sizeof(struct json_token) + behind;
    struct json_token *t;

    if (r->tape->cap - r->tape->len < size && !make_room(r, size))
        return NULL;
    t = (void *)(r->tape->data + r->tape->len);
    r->tape->len += size;
    *t = (struct json_token){.kind = kind, .at = (uint32_t)at, .len = len & (JSON_TEXT_MAX - 1)};
    return t;
}

static struct json_token *innermost(const struct reader *r)
{
    return (struct json_token *)(void *)r->tape->data + r->open[r->depth - 1];
}

static void count_item(struct reader *r)
{
    if (r->depth > 0)
        innermost(r)->len++;
}

/* Puts a text behind its token, with a NUL. */
static int add_copy(struct reader *r, enum json_kind kind, const char *text, size_t len)
{
    size_t behind = (len / sizeof(struct json_token) + 1) * sizeof(struct json_token);
    struct json_token *t = add(r, kind, JSON_TEXT_MAX, len, behind);

    if (t == NULL)
        return 0;
    memcpy(t + 1, text, len);
    ((char *)(t + 1))[len] = '\0';
    return 1;
}

/* yajl lends the text from the whole one, or from memory of its own: with escapes, and where a
 * number ends the whole text. */
static int add_text(struct reader *r, enum json_kind kind, const char *text, size_t len)
{
    size_t at = (size_t)((uintptr_t)text - (uintptr_t)r->text);

    return at < r->len ? add(r, kind, at, len, 0) != NULL : add_copy(r, kind, text, len);
}

static int on_null(void *ctx)
{
    count_item(ctx);
    return add(ctx, JSON_NULL, 0, 0, 0) != NULL;
}

static int on_boolean(void *ctx, int value)
{
    count_item(ctx);
    return add(ctx, value ? JSON_TRUE : JSON_FALSE, 0, 0, 0) != NULL;
}

static int on_number(void *ctx, const char *text, size_t len)
{
    count_item(ctx);
    for (size_t i = 0; i < len; i++)
        if (text[i] == '.' || text[i] == 'e' || text[i] == 'E')
            return add_copy(ctx, JSON_REAL, text, len);
    return add_text(ctx, JSON_INTEGER, text, len);
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
    count_item(ctx);
    return add_text(ctx, JSON_STRING, (const char *)text, len);
}

/* The members of an object are counted by their values. */
static int on_key(void *ctx, const unsigned char *text, size_t len)
{
    struct reader *r = ctx;
    uint64_t object = text_hash(TEXT_HASH_START, &r->open[r->depth - 1], sizeof r->open[0]);
    uint64_t print = text_hash(object, text, len);

    if (print == 0)
        print = 1;
    if (r->seen.used * 2 >= r->seen.cap && seen_grow(&r->seen) != OK)
        return stop(r, ERR_NOMEM, "out of memory");
    if (!seen_put(r->seen.slot, r->seen.cap, print)) {
        size_t n = len < sizeof r->key - 1 ? len : sizeof r->key - 1;

        memcpy(r->key, text, n);
        r->key[n] = '\0';
        r->key[text_utf8_prefix(r->key, n)] = '\0';
        return stop(r, ERR_INPUT, "duplicate key");
    }
    r->seen.used++;
    return add_text(r, JSON_STRING, (const char *)text, len);
}

static uint32_t tokens(const struct reader *r)
{
    return (uint32_t)(r->tape->len / sizeof(struct json_token));
}

static int begin(struct reader *r, enum json_kind kind)
{
    if (r->depth == JSON_DEPTH_MAX)
        return stop(r, ERR_INPUT, "nested too deeply");
    count_item(r);
    r->open[r->depth++] = tokens(r);
    return add(r, kind, 0, 0, 0) != NULL;
}

static int on_begin_object(void *ctx)
{
    return begin(ctx, JSON_OBJECT);
}

static int on_begin_array(void *ctx)
{
    return begin(ctx, JSON_ARRAY);
}

static int on_end(void *ctx)
{
    struct reader *r = ctx;

    innermost(r)->at = tokens(r);
    r->depth--;
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_begin_object,
    .yajl_map_key = on_key,
    .yajl_end_map = on_end,
    .yajl_start_array = on_begin_array,
    .yajl_end_array = on_end,
};

/* yajl's own text, without its file-like prefix and its line end. */
static int describe_syntax(yajl_handle h, struct err *err)
{
    unsigned char *text = yajl_get_error(h, 0, NULL, 0);
    const char *why = text ? (const char *)text : "unreadable";
    const char *colon = strstr(why, "error: ");

    if (colon != NULL)
        why = colon + strlen("error: ");
    err_set(err, ERR_INPUT, "bad JSON at byte %zu: %.*s", yajl_get_bytes_consumed(h),
            (int)strcspn(why, "\n"), why);
    if (text != NULL)
        yajl_free_error(h, text);
    return ERR_INPUT;
}

static int describe(yajl_handle h, yajl_status status, const struct reader *r, struct err *err)
{
    if (status == yajl_status_error)
        return describe_syntax(h, err);
    if (r->key[0] != '\0')
        return err_set(err, ERR_INPUT, "bad JSON at byte %zu: duplicate key \"%s\"",
                       yajl_get_bytes_consumed(h), r->key);
    if (r->code == ERR_INPUT)
        return err_set(err, ERR_INPUT, "bad JSON at byte %zu: %s", yajl_get_bytes_consumed(h),
                       r->why);
    return err_set(err, r->code, "%s", r->why);
}

/* The code unit of a "\\uXXXX" at p, or -1. */
static int unit_at(const char *p, size_t left)
{
    int unit = 0;

    if (left < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        const char *digits = "0123456789abcdef", *at;

        at = p[i] != '\0' ? strchr(digits, p[i] | 0x20) : NULL;
        if (at == NULL)
            return -1;
        unit = unit * 16 + (int)(at - digits);
    }
    return unit;
}

/* yajl turns half a surrogate pair into "?": such a body is refused instead. Returns
 * where the first one is, or `len`. */
static size_t find_half_pair(const char *text, size_t len)
{
    const char *p = memchr(text, '\\', len);

    while (p != NULL) {
        size_t at = (size_t)(p - text), step = 2;
        int unit = unit_at(p, len - at);

        if (unit >= 0xd800 && unit <= 0xdfff) {
            int low = len - at > 6 ? unit_at(p + 6, len - at - 6) : -1;

            if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff)
                return at;
            step = 12;
        }
        p = len - at > step ? memchr(p + step, '\\', len - at - step) : NULL;
    }
    return len;
}

/* What yajl cannot say, or not as well. */
static int check_bytes(const char *text, size_t len, struct err *err)
{
    size_t good;

    if (len >= JSON_TEXT_MAX)
        return err_set(err, ERR_INPUT, "JSON of %zu bytes is over the limit of %d", len,
                       JSON_TEXT_MAX);
    good = text_utf8_prefix(text, len);
    if (good < len)
        return err_set(err, ERR_INPUT, "bad UTF-8 at byte %zu", good);
    good = find_half_pair(text, len);
    if (good < len)
        return err_set(err, ERR_INPUT, "bad JSON at byte %zu: half a surrogate pair", good);
    return OK;
}

/* Most texts have no more than a token for each eight bytes. */
static void prepare(struct buf *tape, size_t len)
{
    if (tape->cap > TAPE_KEPT)
        buf_free(tape);
    buf_clear(tape);
    if (tape->cap < len)
        (void)buf_reserve(tape, len < TAPE_FIRST ? len : TAPE_FIRST); /* add() asks again */
}

int json_parse(struct json *j, struct buf *tape, const char *text, size_t len, struct err *err)
{
    struct reader r = {.tape = tape, .text = text, .len = len};
    int rc = check_bytes(text, len, err);
    yajl_status status;
    yajl_handle h;

    if (rc != OK)
        return rc;
    h = yajl_alloc(&callbacks, NULL, &r);
    if (h == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    yajl_config(h, yajl_dont_validate_strings, 1); /* done above, eight bytes at a time */
    seen_init(&r.seen);
    prepare(tape, len);
    status = yajl_parse(h, (const unsigned char *)text, len);
    if (status == yajl_status_ok)
        status = yajl_complete_parse(h);
    if (status != yajl_status_ok)
        rc = describe(h, status, &r, err);
    seen_free(&r.seen);
    yajl_free(h);
    *j = (struct json){(void *)tape->data, text};
    return rc;
}

bool json_integer(struct slice text, int64_t *out)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    uint64_t limit = negative ? UINT64_C(1) << 63 : (uint64_t)INT64_MAX, value = 0;

    for (size_t i = negative; i < text.len; i++) {
        unsigned digit = (unsigned)(text.data[i] - '0');

        if (digit > 9 || value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = (int64_t)(negative ? 0 - value : value);
    return true;
}

const struct json_token *json_member(const struct json *j, const struct json_token *t,
                                     const char *name)
{
    size_t left = t->kind == JSON_OBJECT ? t->len : 0;
    const struct json_token *key = t + 1;

    for (; left > 0; left--) {
        const struct json_token *value = json_next(j, key);

        if (slice_is(json_text(j, key), name))
            return value;
        key = json_next(j, value);
    }
    return NULL;
}

struct slice json_member_text(const struct json *j, const char *name)
{
    const struct json_token *t = json_member(j, j->tape, name);

    return t != NULL && t->kind == JSON_STRING ? json_text(j, t) : (struct slice){NULL, 0};
}

bool json_member_int(const struct json *j, const char *name, int64_t *out)
{
    const struct json_token *t = json_member(j, j->tape, name);

    return t == NULL || (t->kind == JSON_INTEGER && json_integer(json_text(j, t), out));
}

static void put_escape(struct buf *b, unsigned char c)
{
    static const char short_form[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                      ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};

    if (c < sizeof short_form && short_form[c] != 0)
        buf_printf(b, "\\%c", short_form[c]);
    else
        buf_printf(b, "\\u%04x", (unsigned)c);
}

int json_put_string(struct buf *b, const char *text, size_t len)
{
    size_t i = 0;

    buf_append(b, "\"", 1);
    while (i < len) {
        size_t good = text_utf8_prefix(text + i, len - i), from = i;

        for (; i < from + good; i++) {
            unsigned char c = (unsigned char)text[i];

            if (c >= 0x20 && c != '"' && c != '\\')
                continue;
            buf_append(b, text + from, i - from);
            put_escape(b, c);
            good -= i - from + 1;
            from = i + 1;
        }
        buf_append(b, text + from, i - from);
        if (i < len) {
            buf_append(b, "\xef\xbf\xbd", 3);
            i++;
        }
    }
    buf_append(b, "\"", 1);
    return b->failed ? ERR_LIMIT : OK;
}

static void add_name(struct buf *b, const char *name)
{
    if (b->len > 0 && memchr("{[\n", b->data[b->len - 1], 3) == NULL)
        buf_text(b, ",");
    if (name == NULL)
        return;
    json_put_string(b, name, strlen(name));
    buf_text(b, ":");
}

void json_add_object(struct buf *b, const char *name)
{
    add_name(b, name);
    buf_text(b, "{");
}

void json_add_array(struct buf *b, const char *name)
{
    add_name(b, name);
    buf_text(b, "[");
}

void json_end(struct buf *b, const char *brackets)
{
    buf_text(b, brackets);
}

void json_add_text(struct buf *b, const char *name, struct slice text)
{
    add_name(b, name);
    json_put_string(b, text.data, text.len);
}

void json_add_raw(struct buf *b, const char *name, struct slice json)
{
    add_name(b, name);
    buf_append(b, json.data, json.len);
}

void json_add_string(struct buf *b, const char *name, const char *text)
{
    json_add_text(b, name, slice_of(text));
}

void json_add_int(struct buf *b, const char *name, int64_t value)
{
    add_name(b, name);
    buf_printf(b, "%lld", (long long)value);
}

/* The shortest form that reads back as the same. */
void json_put_real(struct buf *b, double value)
{
    char text[40];

    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value); /* it has the room */
        if (strtod(text, NULL) == value)
            break;
    }
    buf_text(b, text);
    if (text[strcspn(text, ".e")] == '\0')
        buf_text(b, ".0");
}

void json_add_real(struct buf *b, const char *name, double value)
{
    add_name(b, name);
    json_put_real(b, value);
}

void json_add_bool(struct buf *b, const char *name, bool value)
{
    add_name(b, name);
    buf_text(b, value ? "true" : "false");
}

void json_end_line(struct buf *b, size_t from, const char *brackets)
{
    buf_text(b, brackets);
    buf_text(b, "\n");
    if (b->failed)
        b->len = from;
    b->failed = false;
}

void json_put_line(struct buf *b, const char *name, const struct json_string *members, size_t n)
{
    size_t from = b->len;

    json_add_object(b, NULL);
    json_add_object(b, name);
    for (size_t i = 0; i < n; i++)
        json_add_string(b, members[i].name, members[i].text);
    json_end_line(b, from, "}}");
}
