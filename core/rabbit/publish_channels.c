/* publish_channels - see publish_channels.h. */
#include "rabbit/publish_channels.h"

size_t publish_channels_spare(struct publish_channel *const *outlets, size_t n)
{
    size_t spare = n;

    for (size_t i = 0; i < n; i++)
        if (publish_channel_is_idle(outlets[i]) &&
            (spare == n ||
             publish_channel_asked_ms(outlets[i]) < publish_channel_asked_ms(outlets[spare])))
            spare = i;
    return spare;
}

/* The outlet that has a channel and is the next to give it away. */
static struct publish_channel *next_to_go(struct publish_channel *const *outlets, size_t n)
{
    struct publish_channel *next = NULL;

    for (size_t i = 0; i < n; i++) {
        struct publish_channel *o = outlets[i];

        if (!publish_channel_is_open(o) || publish_channel_gives_way(o))
            continue;
        if (next == NULL || publish_channel_is_idle(o) > publish_channel_is_idle(next) ||
            (publish_channel_is_idle(o) == publish_channel_is_idle(next) &&
             publish_channel_asked_ms(o) < publish_channel_asked_ms(next)))
            next = o;
    }
    return next;
}

void publish_channels_share(struct publish_channel *const *outlets, size_t n,
                            const struct channels *channels)
{
    size_t wanted = 0, coming = channels_leaving(channels);

    for (size_t i = 0; i < n; i++) {
        wanted += publish_channel_is_short(outlets[i]);
        coming += publish_channel_gives_way(outlets[i]);
    }
    for (; coming < wanted; coming++) {
        struct publish_channel *next = next_to_go(outlets, n);

        if (next == NULL)
            return;
        publish_channel_give_way(next);
    }
}
