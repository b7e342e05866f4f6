/*
 * publish_channels - which of a publisher's outlets have a channel, where there are not enough
 *
 * A broker may allow fewer channels than there are exchanges. Then the channels go round: the
 * outlet that was not asked for longest and has nothing under way gives its own to one that is
 * asked for. Where all are busy, the one that has waited longest for a pause takes no more
 * until its confirms are in.
 */
#ifndef HERALD_RABBIT_PUBLISH_CHANNELS_H
#define HERALD_RABBIT_PUBLISH_CHANNELS_H

#include "rabbit/channels.h"
#include "rabbit/publish_channel.h"

/* Has others give way to outlets that are short of a channel. */
void publish_channels_share(struct publish_channel *const *outlets, size_t n,
                            const struct channels *channels);

/* The one that is needed least: nothing is under way on it, and of such ones it has not been asked
 * for the longest. n where there is none. */
size_t publish_channels_spare(struct publish_channel *const *outlets, size_t n);

#endif
