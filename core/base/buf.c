/* buf - see buf.h. */
#include "base/buf.h"

#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST = 256 };

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){.max = b->max};
}

static int grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : BUF_FIRST < b->max ? BUF_FIRST : b->max;
    char *data;

    if (need > b->max) {
        b->failed = true;
        return ERR_LIMIT;
    }
    while (cap < need)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    data = realloc(b->data, cap);
    if (data == NULL) {
        b->failed = true;
        return ERR_NOMEM;
    }
    b->data = data;
    b->cap = cap;
    return OK;
}

static int ensure(struct buf *b, size_t n)
{
    if (n > b->max || b->len > b->max - n) {
        b->failed = true;
        return ERR_LIMIT;
    }
    return b->len + n <= b->cap ? OK : grow(b, b->len + n);
}

char *buf_reserve(struct buf *b, size_t n)
{
    return ensure(b, n) == OK ? b->data + b->len : NULL;
}

int buf_append(struct buf *b, const void *bytes, size_t n)
{
    int rc;

    if (n == 0)
        return OK;
    rc = ensure(b, n);
    if (rc != OK)
        return rc;
    memcpy(b->data + b->len, bytes, n);
    b->len += n;
    return OK;
}

int buf_text(struct buf *b, const char *text)
{
    return buf_append(b, text, strlen(text));
}

int buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    int n, rc;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        return ERR_FAILED;
    rc = ensure(b, (size_t)n + 1);
    if (rc != OK)
        return rc;
    va_start(args, format);
    vsnprintf(b->data + b->len, (size_t)n + 1, format, args);
    va_end(args);
    b->len += (size_t)n;
    return OK;
}

void buf_consume(struct buf *b, size_t n)
{
    if (n >= b->len) {
        b->len = 0;
        return;
    }
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}
