/*
 * arguments - what rules give a queue or a binding besides its name: AMQP's x-arguments
 *
 * A plain list, in order of name. Whoever holds one lends it, but for what arguments_copy made.
 */
#ifndef HERALD_BASE_ARGUMENTS_H
#define HERALD_BASE_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ARGUMENTS_MAX = 32, ARGUMENT_WORDS_MAX = 400 };

enum argument_kind { ARGUMENT_TEXT, ARGUMENT_INTEGER, ARGUMENT_FLAG };

struct argument {
    const char *name;
    enum argument_kind kind;
    const char *text; /* ARGUMENT_TEXT; else "" */
    int64_t number;   /* the others; of a flag 0 or 1 */
};

struct arguments {
    const struct argument *list;
    size_t n;
};

/* NULL: there is none of that name. */
const struct argument *arguments_find(const struct arguments *a, const char *name);

bool arguments_same(const struct arguments *a, const struct arguments *b);

/* A copy with its texts, which arguments_free gives back; OK or ERR_NOMEM. An empty one is fine. */
int arguments_copy(const struct arguments *from, struct arguments *to);
void arguments_free(struct arguments *a);

/* "x-max-length = 10", cut to `size`; all of them, with commas. Return `out`. */
const char *argument_words(const struct argument *a, char *out, size_t size);
const char *arguments_words(const struct arguments *a, char *out, size_t size);

#endif
