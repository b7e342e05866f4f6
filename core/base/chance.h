/*
 * chance - a small generator of chances (xorshift64*), for jitter: nothing here is a secret
 *
 * The same seed gives the same chances, so that a run can be repeated.
 */
#ifndef HERALD_BASE_CHANCE_H
#define HERALD_BASE_CHANCE_H

#include <stdint.h>

struct chance {
    uint64_t state; /* never 0 */
};

void chance_seed(struct chance *c, uint64_t seed);

/* In [0, 1). */
double chance_draw(struct chance *c);

#endif
