/*
 * nameset - names of up to three texts, each with a number, found by hash
 */
#ifndef HERALD_ENGINE_NAMESET_H
#define HERALD_ENGINE_NAMESET_H

#include "script/lookup.h"

#include <stdbool.h>

struct named;

/* All zero but `max`: empty. */
struct nameset {
    size_t max;         /* names at most */
    struct named *list; /* owned */
    size_t room;        /* allocated */
    struct lookup at;
};

/* The number of a name, to be read and written until the next call that adds; NULL: it is not
 * there. */
int64_t *nameset_find(const struct nameset *s, const struct slice name[LOOKUP_PARTS]);

/* Adds it, or gives it another number. The texts are copied. False: it is full, or memory is
 * short; nothing changed. */
bool nameset_put(struct nameset *s, const struct slice name[LOOKUP_PARTS], int64_t number);

size_t nameset_count(const struct nameset *s);

/* Keeps those whose number is at least that. False: memory is short, nothing changed. */
bool nameset_keep_from(struct nameset *s, int64_t number);

void nameset_clear(struct nameset *s);

#endif
