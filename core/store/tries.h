/*
 * tries - what each try of a message came to
 *
 * Lines of JSON, one a try, the oldest first:
 *
 *   {"at":1764000000123,"attempt":1,"generation":3,"took_ms":12,"error":"...","traceback":"..."}
 *
 * A retry keeps them, the dead letter that it becomes goes on with them, and so does the retry
 * that a replayed letter becomes. Bounded: the first one and the last ones. People see them as a
 * list (list.h).
 */
#ifndef HERALD_STORE_TRIES_H
#define HERALD_STORE_TRIES_H

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"

#include <stdint.h>

enum {
    TRIES_KEPT = 20,       /* the first one and the last 19 */
    TRIES_MAX = 64 * 1024, /* bytes of all of them */
    TRIES_TEXT_MAX = 1024, /* bytes of an error and of a traceback; the rest is cut off */
};

struct tried {
    int64_t at; /* ms since 1970 UTC */
    int attempt;
    int64_t generation;     /* of the rules that failed; 0: the core itself */
    int64_t took_ms;        /* left out where it is 0 */
    struct slice error;     /* bytes that are not UTF-8 become U+FFFD */
    struct slice traceback; /* absent: none */
};

/* Begins with the tries before; absent: none. What is over TRIES_MAX, which herald does not
 * write, is left out. To be freed by buf_free, also after an error. ERR_NOMEM. */
int tries_begin(struct buf *tries, struct slice before, struct err *err);

/* Adds one and drops what is over the bounds. ERR_NOMEM. */
int tries_add(struct buf *tries, const struct tried *one, struct err *err);

#endif
