/*
 * unacked - one delivery with all its bytes in one block
 *
 *              consumer_take           consumer_accept       consumer_tell
 *   QUEUED ----------------> LENT -------------------> ACCEPTED --------> TOLD
 *     ^                       |                           |                 |
 *     |   tell or forget      |          forget           |                 | acked: freed
 *     '-----------------------'---------------------------'                 v
 *
 * All but the TOLD stand in the consumer's line (`next`, in order of arrival),
 * which owns them; all of a living channel stand in their consume_channel's list
 * (`next_on_channel`, in order of tag), which owns the TOLD. A TOLD one stays there until all
 * before it are settled too, because an ack covers everything up to its tag.
 *
 * When the channel dies, or is drained, those that can never be acked become stale:
 * they leave the channel, and the line frees them as soon as they are not lent.
 */
#ifndef HERALD_RABBIT_UNACKED_H
#define HERALD_RABBIT_UNACKED_H

#include "broker/broker.h"

enum unacked_state { UNACKED_QUEUED, UNACKED_LENT, UNACKED_ACCEPTED, UNACKED_TOLD };

struct unacked {
    struct delivery delivery;        /* first, so that one lent leads back here */
    struct unacked *next;            /* in order of arrival, over all channels */
    struct unacked *next_on_channel; /* in order of tag, on its channel */
    enum unacked_state state;
    int64_t came_ms;  /* monotonic */
    int64_t returned; /* how often it came back, as a quorum queue counts it */
    size_t size;      /* of the block */
    size_t *total;    /* of all that are held: these are among them; lent */
    bool stale;       /* can never be acked: it is in the line alone */
    char bytes[];     /* what the delivery's slices point to */
};

/* How many bytes it takes. */
size_t unacked_size(const struct delivery *d);

/* Copies the delivery and everything it points to but subscription and owner, and adds its size
 * to *total, which is lent for its life. NULL when out of memory. */
struct unacked *unacked_new(const struct delivery *d, size_t *total);
void unacked_free(struct unacked *h);

struct unacked *unacked_of(struct delivery *d);

#endif
