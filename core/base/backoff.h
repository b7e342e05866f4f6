/*
 * backoff - how long to rest before the next try: doubling, bounded, with jitter
 *
 * The jitter (half to all of the step) keeps many channels, and many routers,
 * from coming back in the same instant.
 */
#ifndef HERALD_RABBIT_BACKOFF_H
#define HERALD_RABBIT_BACKOFF_H

#include <stdint.h>

struct backoff {
    int64_t min_ms; /* first step */
    int64_t max_ms; /* ceiling of a step */
    unsigned tries; /* steps since the last reset */
    uint64_t dice;  /* state of the jitter */
};

void backoff_init(struct backoff *b, int64_t min_ms, int64_t max_ms, uint64_t seed);

/* The next rest in milliseconds. */
int64_t backoff_next(struct backoff *b);

/* It works: the next rest is a short one again. */
void backoff_reset(struct backoff *b);

#endif
