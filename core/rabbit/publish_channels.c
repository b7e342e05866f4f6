/* publish_channels - see publish_channels.h. */
#include "rabbit/publish_channels.h"

size_t outlets_spare(struct outlet *const *outlets, size_t n)
{
    size_t spare = n;

    for (size_t i = 0; i < n; i++)
        if (outlet_is_idle(outlets[i]) &&
            (spare == n || outlet_asked_ms(outlets[i]) < outlet_asked_ms(outlets[spare])))
            spare = i;
    return spare;
}

/* Whoever holds a channel and is to part with it next. */
static struct outlet *next_to_go(struct outlet *const *outlets, size_t n)
{
    struct outlet *next = NULL;

    for (size_t i = 0; i < n; i++) {
        struct outlet *o = outlets[i];

        if (!outlet_is_open(o) || outlet_gives_way(o))
            continue;
        if (next == NULL || outlet_is_idle(o) > outlet_is_idle(next) ||
            (outlet_is_idle(o) == outlet_is_idle(next) &&
             outlet_asked_ms(o) < outlet_asked_ms(next)))
            next = o;
    }
    return next;
}

void outlets_share(struct outlet *const *outlets, size_t n, const struct channels *channels)
{
    size_t wanted = 0, coming = channels_leaving(channels);

    for (size_t i = 0; i < n; i++) {
        wanted += outlet_is_short(outlets[i]);
        coming += outlet_gives_way(outlets[i]);
    }
    for (; coming < wanted; coming++) {
        struct outlet *next = next_to_go(outlets, n);

        if (next == NULL)
            return;
        outlet_give_way(next);
    }
}
