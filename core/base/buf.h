/*
 * buf - bytes that grow up to a ceiling
 *
 * Every buffer has a ceiling given at init: nothing that comes from outside
 * makes it grow beyond. A failed append leaves the buffer as it was and is
 * remembered, so that a chain of appends needs one look at the end.
 */
#ifndef HERALD_BASE_BUF_H
#define HERALD_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data;  /* owned; NULL until the first append */
    size_t len;  /* bytes in use */
    size_t cap;  /* bytes allocated */
    size_t max;  /* ceiling of cap */
    bool failed; /* an append did not fit or memory ran out */
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);

/* Makes room for n more bytes and returns where they go (they count only once
 * `len` is moved), or NULL. */
char *buf_reserve(struct buf *b, size_t n);

/* OK, ERR_NOMEM or ERR_LIMIT. */
int buf_append(struct buf *b, const void *bytes, size_t n);
int buf_text(struct buf *b, const char *text);
int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Drops the first n bytes. */
void buf_consume(struct buf *b, size_t n);

/* Empties it and keeps the memory. */
void buf_clear(struct buf *b);

#endif
