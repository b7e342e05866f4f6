/* backoff - see backoff.h. */
#include "rabbit/backoff.h"

void backoff_init(struct backoff *b, int64_t min_ms, int64_t max_ms, uint64_t seed)
{
    int64_t min = min_ms > 0 ? min_ms : 1;

    *b = (struct backoff){.min_ms = min, .max_ms = max_ms > min ? max_ms : min, .dice = seed | 1};
}

/* Marsaglia's xorshift: jitter needs no better dice. */
static uint64_t roll(struct backoff *b)
{
    b->dice ^= b->dice << 13;
    b->dice ^= b->dice >> 7;
    b->dice ^= b->dice << 17;
    return b->dice;
}

int64_t backoff_next(struct backoff *b)
{
    int64_t step = b->min_ms;

    for (unsigned i = 0; i < b->tries && step < b->max_ms; i++)
        step = step > b->max_ms / 2 ? b->max_ms : step * 2;
    b->tries++;
    return step - (int64_t)(roll(b) % ((uint64_t)step / 2 + 1));
}

void backoff_reset(struct backoff *b)
{
    b->tries = 0;
}
