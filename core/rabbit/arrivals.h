/*
 * arrivals - deliveries in order of arrival, over all channels: lent ones in front, then those that
 * wait
 *
 * It owns those in it (unacked.h).
 */
#ifndef HERALD_RABBIT_ARRIVALS_H
#define HERALD_RABBIT_ARRIVALS_H

#include "rabbit/unacked.h"

struct line {
    struct unacked *first;   /* in order of arrival */
    struct unacked **tail;   /* where the next one is hung in */
    struct unacked **unlent; /* where the part begins that is not lent */
};

/* Walks it once, frees what is stale and not lent, and finds its parts again; also makes an empty
 * one of zeros. */
void line_sweep(struct line *line);
void line_free(struct line *line);

void line_append(struct line *line, struct unacked *h);

/* True when line_lend would give something. */
bool line_waits(const struct line *line);
size_t line_lend(struct line *line, struct delivery **out, size_t max);

/* Takes back all that is lent: the accepted ones leave the line where the turn was
 * told, the others stand in front again. */
void line_take_back(struct line *line, bool told);

#endif
