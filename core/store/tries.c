/* tries - see tries.h. */
#include "store/tries.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 16 * 1024 }; /* two texts, six bytes for one at most, and the numbers */

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

int tries_begin(struct buf *tries, struct slice before, struct err *err)
{
    buf_init(tries, TRIES_MAX + LINE_MAX_BYTES);
    if (before.len == 0 || before.len > TRIES_MAX)
        return OK;
    (void)buf_append(tries, before.data, before.len);
    if (before.data[before.len - 1] != '\n')
        (void)buf_text(tries, "\n");
    return tries->failed ? no_memory(err) : OK;
}

/* A cut does not go through a character. */
static struct slice cut(struct slice s)
{
    if (s.len <= TRIES_TEXT_MAX)
        return s;
    s.len = TRIES_TEXT_MAX;
    while (s.len > TRIES_TEXT_MAX - 4 && ((unsigned char)s.data[s.len] & 0xc0) == 0x80)
        s.len--;
    return s;
}

static void put_text(struct buf *b, const char *name, struct slice text)
{
    struct slice s = cut(text);

    buf_printf(b, ",\"%s\":", name);
    (void)json_put_string(b, s.data ? s.data : "", s.len);
}

/* The bytes of the line at `from`, with its end. */
static size_t line_length(const struct buf *b, size_t from)
{
    const char *end = memchr(b->data + from, '\n', b->len - from);

    return end != NULL ? (size_t)(end - b->data) + 1 - from : b->len - from;
}

static size_t count_lines(const struct buf *b)
{
    size_t n = 0;

    for (size_t at = 0; at < b->len; at += line_length(b, at))
        n++;
    return n;
}

static void remove_line(struct buf *b, size_t from)
{
    size_t end = from + line_length(b, from);

    memmove(b->data + from, b->data + end, b->len - end);
    b->len -= end - from;
}

/* The second one goes first: how it began and how it ended says the most. */
static void trim(struct buf *b)
{
    for (size_t n = count_lines(b); n > TRIES_KEPT || (n > 1 && b->len > TRIES_MAX); n--)
        remove_line(b, n > 2 ? line_length(b, 0) : 0);
}

int tries_add(struct buf *tries, const struct tried *one, struct err *err)
{
    buf_printf(tries, "{\"at\":%lld,\"attempt\":%d,\"generation\":%lld", (long long)one->at,
               one->attempt, (long long)one->generation);
    put_text(tries, "error", one->error);
    if (one->traceback.len > 0)
        put_text(tries, "traceback", one->traceback);
    buf_text(tries, "}\n");
    if (tries->failed)
        return no_memory(err);
    trim(tries);
    return OK;
}

/* One line as it is read. */
struct reader {
    struct arena *arena;
    struct tried *out;
    char key[16]; /* the member at hand; "" for one that is too long */
    bool full;    /* the arena is */
};

static bool on_null(void *arg)
{
    (void)arg;
    return true;
}

static bool on_boolean(void *arg, bool value)
{
    (void)value;
    return on_null(arg);
}

static bool on_number(void *arg, const char *text, size_t len)
{
    struct reader *r = arg;
    char digits[24] = "";

    if (len >= sizeof digits)
        return false;
    memcpy(digits, text, len);
    if (strcmp(r->key, "at") == 0)
        r->out->at = strtoll(digits, NULL, 10);
    else if (strcmp(r->key, "attempt") == 0)
        r->out->attempt = (int)strtol(digits, NULL, 10);
    else if (strcmp(r->key, "generation") == 0)
        r->out->generation = strtoll(digits, NULL, 10);
    return true;
}

static bool on_string(void *arg, const char *text, size_t len)
{
    struct reader *r = arg;
    struct slice copy = {text, len};

    if (!arena_keep(r->arena, &copy))
        r->full = true;
    else if (strcmp(r->key, "error") == 0)
        r->out->error = copy;
    else if (strcmp(r->key, "traceback") == 0)
        r->out->traceback = copy;
    return !r->full;
}

static bool on_key(void *arg, const char *text, size_t len)
{
    struct reader *r = arg;

    len = len < sizeof r->key ? len : 0;
    memcpy(r->key, text, len);
    r->key[len] = '\0';
    return true;
}

static bool on_begin(void *arg, bool array)
{
    (void)arg;
    return !array;
}

static bool on_end(void *arg, bool array)
{
    (void)array;
    return on_null(arg);
}

/* Whether the line is a try. */
static bool read_line(struct slice line, struct reader *r)
{
    static const struct json_events events = {.null = on_null,
                                              .boolean = on_boolean,
                                              .number = on_number,
                                              .string = on_string,
                                              .key = on_key,
                                              .begin = on_begin,
                                              .end = on_end};
    struct err err = {0};

    *r->out = (struct tried){.at = 0};
    r->key[0] = '\0';
    return json_parse(line.data, line.len, &events, r, &err) == OK && r->out->error.data != NULL;
}

bool tries_read(struct slice tries, struct arena *a, struct tried out[TRIES_KEPT], size_t *n_out)
{
    struct reader r = {.arena = a};
    size_t at = 0;

    *n_out = 0;
    while (at < tries.len && *n_out < TRIES_KEPT && !r.full) {
        const char *end = memchr(tries.data + at, '\n', tries.len - at);
        size_t len = end != NULL ? (size_t)(end - tries.data) - at : tries.len - at;

        r.out = &out[*n_out];
        if (read_line((struct slice){tries.data + at, len}, &r))
            (*n_out)++;
        at += len + 1;
    }
    return !r.full;
}
