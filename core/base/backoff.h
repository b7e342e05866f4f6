/*
 * backoff - how long to wait before the next try: doubling, bounded, with jitter
 *
 * The jitter (half to all of the step) keeps many channels, and many routers,
 * from coming back in the same instant.
 */
#ifndef HERALD_BASE_BACKOFF_H
#define HERALD_BASE_BACKOFF_H

#include "base/chance.h"

#include <stdint.h>

struct backoff {
    int64_t min_ms; /* first step */
    int64_t max_ms; /* ceiling of a step */
    unsigned tries; /* steps since the last reset */
    struct chance chance;
};

void backoff_init(struct backoff *b, int64_t min_ms, int64_t max_ms, uint64_t seed);

/* The next wait in milliseconds. */
int64_t backoff_next(struct backoff *b);

/* The wait after so many tries, for who counts them himself. */
int64_t backoff_after(struct backoff *b, unsigned tries);

/* It works: the next wait is a short one again. */
void backoff_reset(struct backoff *b);

#endif
