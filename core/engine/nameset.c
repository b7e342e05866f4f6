/* nameset - see nameset.h. */
#include "engine/nameset.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 16 };

struct named {
    struct slice name[LOOKUP_PARTS];
    char *text; /* holds them; owned */
    int64_t number;
};

static void name_of(const void *list, size_t i, struct slice name[LOOKUP_PARTS])
{
    memcpy(name, ((const struct named *)list)[i].name, LOOKUP_PARTS * sizeof *name);
}

int64_t *nameset_find(const struct nameset *s, const struct slice name[LOOKUP_PARTS])
{
    size_t i = lookup_find(&s->at, name, name_of, s->list);

    return i == LOOKUP_NONE ? NULL : &s->list[i].number;
}

static bool make_room(struct nameset *s)
{
    size_t room = s->room ? s->room * 2 : FIRST_ROOM;
    struct named *moved;

    if (s->at.n < s->room)
        return true;
    moved = s->at.n < s->max ? realloc(s->list, room * sizeof *moved) : NULL;
    if (moved == NULL)
        return false;
    s->list = moved;
    s->room = room;
    return true;
}

static bool copy_name(struct named *to, const struct slice name[LOOKUP_PARTS])
{
    size_t size = 1, used = 0;

    for (size_t i = 0; i < LOOKUP_PARTS; i++)
        size += name[i].len;
    to->text = malloc(size);
    for (size_t i = 0; i < LOOKUP_PARTS && to->text != NULL; i++) {
        to->name[i] = (struct slice){name[i].data ? to->text + used : NULL, name[i].len};
        if (name[i].len > 0)
            memcpy(to->text + used, name[i].data, name[i].len);
        used += name[i].len;
    }
    return to->text != NULL;
}

bool nameset_put(struct nameset *s, const struct slice name[LOOKUP_PARTS], int64_t number)
{
    int64_t *there = nameset_find(s, name);
    struct named one = {.number = number};

    if (there != NULL) {
        *there = number;
        return true;
    }
    if (s->at.n >= s->max || !make_room(s) || !copy_name(&one, name))
        return false;
    if (lookup_add(&s->at, name) != OK) {
        free(one.text);
        return false;
    }
    s->list[s->at.n - 1] = one;
    return true;
}

size_t nameset_count(const struct nameset *s)
{
    return s->at.n;
}

bool nameset_keep_from(struct nameset *s, int64_t number)
{
    struct nameset kept = {.max = s->max};

    for (size_t i = 0; i < s->at.n; i++)
        if (s->list[i].number >= number &&
            !nameset_put(&kept, s->list[i].name, s->list[i].number)) {
            nameset_clear(&kept);
            return false;
        }
    nameset_clear(s);
    *s = kept;
    return true;
}

void nameset_clear(struct nameset *s)
{
    for (size_t i = 0; i < s->at.n; i++)
        free(s->list[i].text);
    free(s->list);
    lookup_free(&s->at);
    *s = (struct nameset){.max = s->max};
}
