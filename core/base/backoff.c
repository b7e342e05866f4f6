/* backoff - see backoff.h. */
#include "base/backoff.h"

void backoff_init(struct backoff *b, int64_t min_ms, int64_t max_ms, uint64_t seed)
{
    int64_t min = min_ms > 0 ? min_ms : 1;

    *b = (struct backoff){.min_ms = min, .max_ms = max_ms > min ? max_ms : min};
    chance_seed(&b->chance, seed);
}

int64_t backoff_after(struct backoff *b, unsigned tries)
{
    int64_t step = b->min_ms, half;

    for (unsigned i = 0; i < tries && step < b->max_ms; i++)
        step = step > b->max_ms / 2 ? b->max_ms : step * 2;
    half = step / 2;
    return step - (int64_t)(chance_draw(&b->chance) * (double)(half + 1));
}

int64_t backoff_next(struct backoff *b)
{
    return backoff_after(b, b->tries++);
}

void backoff_reset(struct backoff *b)
{
    b->tries = 0;
}
