/* settlements - see settlements.h. A ring of fixed size: the publisher's window
 * bounds how many rows can be without being told, so nothing is allocated here. */
#include "rabbit/settlements.h"

#include <stdlib.h>

struct entry {
    int64_t row;                  /* outbox row */
    enum publish_outcome outcome; /* what became of it */
    struct reason *why;           /* shared; NULL where no words are needed */
    bool has_why;                 /* words are owed, even when memory ran out */
};

struct settlements {
    size_t capacity;     /* entries in the ring */
    size_t first;        /* place of the oldest */
    size_t count;        /* entries in use */
    size_t lent;         /* how many of the oldest are lent */
    struct entry ring[]; /* from `first`, wrapping */
};

struct settlements *settlements_new(size_t capacity)
{
    struct settlements *s = calloc(1, sizeof *s + capacity * sizeof s->ring[0]);

    if (s != NULL)
        s->capacity = capacity;
    return s;
}

static struct entry *entry_at(struct settlements *s, size_t i)
{
    return &s->ring[(s->first + i) % s->capacity];
}

static void drop_oldest(struct settlements *s)
{
    reason_drop(&entry_at(s, 0)->why);
    s->first = (s->first + 1) % s->capacity;
    s->count--;
}

void settlements_free(struct settlements **s)
{
    if (*s == NULL)
        return;
    while ((*s)->count > 0)
        drop_oldest(*s);
    free(*s);
    *s = NULL;
}

void settlements_add(struct settlements *s, int64_t row, enum publish_outcome outcome,
                     struct reason *why)
{
    bool has_why = why != NULL || (outcome != PUBLISH_CONFIRMED && outcome != PUBLISH_NACKED &&
                                   outcome != PUBLISH_TIMED_OUT);

    REQUIRE(s->count < s->capacity);
    s->count++;
    *entry_at(s, s->count - 1) = (struct entry){row, outcome, why, has_why};
}

size_t settlements_lend(struct settlements *s, struct settlement *out, size_t max)
{
    size_t n = 0;

    for (; n < max && s->lent < s->count; n++, s->lent++) {
        const struct entry *e = entry_at(s, s->lent);

        out[n] = (struct settlement){
            .row = e->row,
            .outcome = e->outcome,
            .why = e->has_why ? reason_text(e->why) : NULL,
        };
    }
    return n;
}

void settlements_tell(struct settlements *s)
{
    for (; s->lent > 0; s->lent--)
        drop_oldest(s);
}

void settlements_forget(struct settlements *s)
{
    s->lent = 0;
}

size_t settlements_count(const struct settlements *s)
{
    return s->count;
}

size_t settlements_waiting(const struct settlements *s)
{
    return s->count - s->lent;
}
