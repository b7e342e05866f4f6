/* arrivals - see arrivals.h. */
#include "rabbit/arrivals.h"

void line_sweep(struct line *line)
{
    struct held **at = &line->first;

    line->unlent = NULL;
    while (*at != NULL) {
        struct held *h = *at;

        if (h->state == HELD_QUEUED && h->stale) {
            *at = h->next;
            held_free(h);
            continue;
        }
        if (h->state == HELD_QUEUED && line->unlent == NULL)
            line->unlent = at;
        at = &h->next;
    }
    line->tail = at;
    if (line->unlent == NULL)
        line->unlent = at;
}

void line_free(struct line *line)
{
    while (line->first != NULL) {
        struct held *h = line->first;

        line->first = h->next;
        held_free(h);
    }
}

void line_append(struct line *line, struct held *h)
{
    *line->tail = h;
    line->tail = &h->next;
}

bool line_waits(const struct line *line)
{
    return *line->unlent != NULL;
}

size_t line_lend(struct line *line, struct delivery **out, size_t max)
{
    size_t n = 0;

    while (n < max && line_waits(line)) {
        struct held *h = *line->unlent;

        h->state = HELD_LENT;
        line->unlent = &h->next;
        out[n++] = &h->delivery;
    }
    return n;
}

void line_take_back(struct line *line, bool told)
{
    struct held **at = &line->first;

    while (*at != NULL && (*at)->state != HELD_QUEUED) {
        struct held *h = *at;
        bool leaves = h->stale || (told && h->state == HELD_ACCEPTED);

        h->state = told && h->state == HELD_ACCEPTED ? HELD_SETTLED : HELD_QUEUED;
        if (leaves)
            *at = h->next;
        else
            at = &h->next;
        if (h->stale)
            held_free(h);
    }
    if (*at == NULL)
        line->tail = at;
    line->unlent = &line->first;
}
