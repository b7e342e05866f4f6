/*
 * lookup - at which position of a list something of a name stands, by hash
 *
 * A name is up to three texts, of which some may be absent: an absent one equals only an
 * absent one. The list is the caller's; it grows at its end, and names in it are different.
 */
#ifndef HERALD_SCRIPT_LOOKUP_H
#define HERALD_SCRIPT_LOOKUP_H

#include "base/err.h"
#include "base/text.h"

#include <stddef.h>
#include <stdint.h>

enum { LOOKUP_PARTS = 3 };
#define LOOKUP_NONE SIZE_MAX

struct lookup_slot {
    uint32_t hash;
    uint32_t next; /* the position, and one; 0: free */
};

/* All zero: empty. */
struct lookup {
    struct lookup_slot *slots; /* owned */
    size_t room;               /* a power of two, or 0 */
    size_t n;                  /* positions in it: 0 to n - 1 */
};

/* Fills in the name of what stands at a position. */
typedef void lookup_name_fn(const void *list, size_t i, struct slice name[LOOKUP_PARTS]);

/* LOOKUP_NONE: it is not there. */
size_t lookup_find(const struct lookup *l, const struct slice want[LOOKUP_PARTS],
                   lookup_name_fn *name, const void *list);

/* The list's next position has this name, which is not there yet. ERR_NOMEM: nothing changed. */
int lookup_add(struct lookup *l, const struct slice name[LOOKUP_PARTS]);

void lookup_free(struct lookup *l);

#endif
