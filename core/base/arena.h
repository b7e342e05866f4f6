/*
 * arena - copies that live until the end of a turn
 *
 * Memory is taken in blocks that never move, so a copy stays where it is; all of it
 * goes at once. A ceiling bounds what one turn can take.
 */
#ifndef HERALD_BASE_ARENA_H
#define HERALD_BASE_ARENA_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* the newest first */
    size_t used;                /* bytes taken in all */
    size_t max;                 /* ceiling of `used` */
};

void arena_init(struct arena *a, size_t max);

/* Everything goes; one block is kept for the next turn. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

/* Bytes for any type, or NULL when over the ceiling or out of memory. */
void *arena_take(struct arena *a, size_t n);

/* Replaces the slice by a copy that ends with a NUL (not counted in len). An absent
 * one stays absent. Returns false when there is no room. */
bool arena_keep(struct arena *a, struct slice *s);

#endif
