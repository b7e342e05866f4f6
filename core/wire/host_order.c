/* host_order - see host_order.h. */
#include "wire/host_order.h"

#include "base/chance.h"

#include <string.h>

enum { STRIKES_MAX = 2 };

static void shuffle(struct host_order *o, uint64_t seed)
{
    struct chance chance;

    chance_seed(&chance, seed);
    for (size_t left = o->n; left > 1; left--) {
        const size_t drawn = (size_t)(chance_draw(&chance) * (double)left);
        const unsigned char host = o->hosts[drawn];

        o->hosts[drawn] = o->hosts[left - 1];
        o->hosts[left - 1] = host;
    }
}

void host_order_init(struct host_order *o, size_t n, uint64_t seed)
{
    *o = (struct host_order){.n = n};
    for (size_t i = 0; i < n; i++)
        o->hosts[i] = (unsigned char)i;
    if (seed != 0)
        shuffle(o, seed);
}

size_t host_order_host(const struct host_order *o)
{
    return o->hosts[o->at];
}

/* The one behind it is in its place then. */
static void put_last(struct host_order *o)
{
    const unsigned char host = o->hosts[o->at];

    memmove(o->hosts + o->at, o->hosts + o->at + 1, o->n - o->at - 1);
    o->hosts[o->n - 1] = host;
}

void host_order_failed(struct host_order *o, bool served)
{
    unsigned char *strikes = &o->strikes[o->hosts[o->at]];
    const bool last = o->at + 1 == o->n;

    const bool out = !served && *strikes + 1 == STRIKES_MAX;

    *strikes = (unsigned char)(out ? 0 : 1);
    if (out && !last)
        put_last(o);
    else
        o->at = last ? 0 : o->at + 1;
}
