/* arena - see arena.h. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 256 * 1024 };

struct arena_block {
    struct arena_block *next; /* the older one */
    size_t size;              /* bytes in `bytes` */
    size_t used;
    alignas(max_align_t) char bytes[];
};

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max};
}

static struct arena_block *add_block(struct arena *a, size_t n)
{
    size_t size = n > BLOCK_SIZE ? n : BLOCK_SIZE;
    struct arena_block *b = malloc(sizeof *b + size);

    if (b == NULL)
        return NULL;
    b->next = a->blocks;
    b->size = size;
    b->used = 0;
    a->blocks = b;
    return b;
}

void *arena_take(struct arena *a, size_t n)
{
    struct arena_block *b = a->blocks;
    size_t rounded = (n + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    void *p;

    if (rounded < n || rounded > a->max || a->used > a->max - rounded)
        return NULL;
    if (b == NULL || b->size - b->used < rounded)
        b = add_block(a, rounded);
    if (b == NULL)
        return NULL;
    p = b->bytes + b->used;
    b->used += rounded;
    a->used += rounded;
    return p;
}

bool arena_keep(struct arena *a, struct slice *s)
{
    char *copy;

    if (s->data == NULL)
        return true;
    copy = arena_take(a, s->len + 1);
    if (copy == NULL)
        return false;
    memcpy(copy, s->data, s->len);
    copy[s->len] = '\0';
    s->data = copy;
    return true;
}

/* Frees all blocks but one of the usual size. */
void arena_reset(struct arena *a)
{
    struct arena_block *kept = NULL;

    while (a->blocks != NULL) {
        struct arena_block *b = a->blocks;

        a->blocks = b->next;
        if (kept == NULL && b->size == BLOCK_SIZE)
            kept = b;
        else
            free(b);
    }
    if (kept != NULL) {
        kept->next = NULL;
        kept->used = 0;
    }
    a->blocks = kept;
    a->used = 0;
}

void arena_free(struct arena *a)
{
    arena_reset(a);
    free(a->blocks);
    a->blocks = NULL;
}
