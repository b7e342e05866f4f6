/* tries - see tries.h. */
#include "store/tries.h"

#include "base/json.h"

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
    json_add_object(tries, NULL);
    json_add_int(tries, "at", one->at);
    json_add_int(tries, "attempt", one->attempt);
    json_add_int(tries, "generation", one->generation);
    if (one->took_ms > 0)
        json_add_int(tries, "took_ms", one->took_ms);
    json_add_text(tries, "error", cut(one->error));
    if (one->traceback.len > 0)
        json_add_text(tries, "traceback", cut(one->traceback));
    buf_text(tries, "}\n");
    if (tries->failed)
        return no_memory(err);
    trim(tries);
    return OK;
}
