/* chance - see chance.h. */
#include "base/chance.h"

void chance_seed(struct chance *c, uint64_t seed)
{
    c->state = seed ? seed : 1;
}

double chance_draw(struct chance *c)
{
    c->state ^= c->state >> 12;
    c->state ^= c->state << 25;
    c->state ^= c->state >> 27;
    return (double)((c->state * UINT64_C(2685821657736338717)) >> 11) / 9007199254740992.0;
}
