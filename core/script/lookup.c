/* lookup - see lookup.h. Open addressing; at most half of the slots are taken. */
#include "script/lookup.h"

#include <stdlib.h>

enum { FIRST_ROOM = 16 };

static uint32_t hash_of(const struct slice name[LOOKUP_PARTS])
{
    uint64_t hash = TEXT_HASH_START;

    for (size_t i = 0; i < LOOKUP_PARTS; i++)
        hash = name[i].data ? text_hash(hash, name[i].data, name[i].len) : ~hash;
    return (uint32_t)hash; /* which text_hash has folded: a second time would undo it */
}

static bool same(const struct slice a[LOOKUP_PARTS], const struct slice b[LOOKUP_PARTS])
{
    for (size_t i = 0; i < LOOKUP_PARTS; i++)
        if (!slice_equal(a[i], b[i]))
            return false;
    return true;
}

size_t lookup_find(const struct lookup *l, const struct slice want[LOOKUP_PARTS],
                   lookup_name_fn *name, const void *list)
{
    uint32_t hash = hash_of(want);

    for (size_t at = hash; l->room > 0; at++) {
        const struct lookup_slot *s = &l->slots[at & (l->room - 1)];
        struct slice have[LOOKUP_PARTS];

        if (s->next == 0)
            break;
        if (s->hash != hash)
            continue;
        name(list, s->next - 1, have);
        if (same(have, want))
            return s->next - 1;
    }
    return LOOKUP_NONE;
}

static void put(struct lookup *l, struct lookup_slot slot)
{
    size_t at = slot.hash;

    while (l->slots[at & (l->room - 1)].next != 0)
        at++;
    l->slots[at & (l->room - 1)] = slot;
}

static int grow(struct lookup *l)
{
    struct lookup more = {.room = l->room ? l->room * 2 : FIRST_ROOM, .n = l->n};

    more.slots = calloc(more.room, sizeof *more.slots);
    if (more.slots == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < l->room; i++)
        if (l->slots[i].next != 0)
            put(&more, l->slots[i]);
    free(l->slots);
    *l = more;
    return OK;
}

int lookup_add(struct lookup *l, const struct slice name[LOOKUP_PARTS])
{
    REQUIRE(l->n < UINT32_MAX - 1);
    if ((l->n + 1) * 2 > l->room && grow(l) != OK)
        return ERR_NOMEM;
    put(l, (struct lookup_slot){.hash = hash_of(name), .next = (uint32_t)++l->n});
    return OK;
}

void lookup_free(struct lookup *l)
{
    free(l->slots);
    *l = (struct lookup){.slots = NULL};
}
