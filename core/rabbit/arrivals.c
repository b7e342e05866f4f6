/* arrivals - see arrivals.h. */
#include "rabbit/arrivals.h"

void line_sweep(struct line *line)
{
    struct unacked **at = &line->first;

    line->unlent = NULL;
    while (*at != NULL) {
        struct unacked *h = *at;

        if (h->state == UNACKED_QUEUED && h->stale) {
            *at = h->next;
            unacked_free(h);
            continue;
        }
        if (h->state == UNACKED_QUEUED && line->unlent == NULL)
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
        struct unacked *h = line->first;

        line->first = h->next;
        unacked_free(h);
    }
}

void line_append(struct line *line, struct unacked *h)
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
        struct unacked *h = *line->unlent;

        h->state = UNACKED_LENT;
        line->unlent = &h->next;
        out[n++] = &h->delivery;
    }
    return n;
}

void line_take_back(struct line *line, bool told)
{
    struct unacked **at = &line->first;

    while (*at != NULL && (*at)->state != UNACKED_QUEUED) {
        struct unacked *h = *at;
        bool leaves = h->stale || (told && h->state == UNACKED_ACCEPTED);

        h->state = told && h->state == UNACKED_ACCEPTED ? UNACKED_TOLD : UNACKED_QUEUED;
        if (leaves)
            *at = h->next;
        else
            at = &h->next;
        if (h->stale)
            unacked_free(h);
    }
    if (*at == NULL)
        line->tail = at;
    line->unlent = &line->first;
}
