/*
 * held - one delivery with all its bytes in one block
 *
 *              consumer_take           consumer_accept       consumer_tell
 *   QUEUED ----------------> LENT -------------------> ACCEPTED --------> SETTLED
 *     ^                       |                           |                 |
 *     |   tell or forget      |          forget           |                 | acked: freed
 *     '-----------------------'---------------------------'                 v
 *
 * All but the SETTLED stand in the consumer's line (`next`, in order of arrival),
 * which owns them; all of a living channel stand in their feed's list (`next_on_feed`,
 * in order of tag), which owns the SETTLED. A SETTLED one stays there until all before
 * it are settled too, because an ack covers everything up to its tag.
 *
 * When the channel dies, or is drained, those that can never be acked become stale:
 * they leave the feed, and the line frees them as soon as they are not lent.
 */
#ifndef HERALD_RABBIT_HELD_H
#define HERALD_RABBIT_HELD_H

#include "broker/broker.h"

enum held_state { HELD_QUEUED, HELD_LENT, HELD_ACCEPTED, HELD_SETTLED };

struct held {
    struct delivery delivery;  /* first, so that one lent leads back here */
    struct held *next;         /* in order of arrival, over all channels */
    struct held *next_on_feed; /* in order of tag, on its channel */
    enum held_state state;
    int64_t came_ms;  /* monotonic */
    int64_t returned; /* how often it came back, as a quorum queue counts it */
    size_t size;      /* of the block */
    size_t *total;    /* of all that are held: these are among them; lent */
    bool stale;       /* can never be acked: it is in the line alone */
    char bytes[];     /* what the delivery's slices point to */
};

/* How many bytes it takes. */
size_t held_size(const struct delivery *d);

/* Copies the delivery and everything it points to but subscription and owner, and adds its size
 * to *total, which is lent for its life. NULL when out of memory. */
struct held *held_new(const struct delivery *d, size_t *total);
void held_free(struct held *h);

struct held *held_of(struct delivery *d);

#endif
