/*
 * unacked - deliveries that herald has and has not acked: each with all its bytes in one block
 *
 *              consumer_take           consumer_accept       consumer_tell
 *   QUEUED ----------------> LENT -------------------> ACCEPTED --------> TOLD
 *     ^                       |                           |                 |
 *     |   tell or forget      |          forget           |                 | acked: freed
 *     '-----------------------'---------------------------'                 v
 *
 * They stand in two orders. In the order of arrival, over all channels, stand all but the TOLD;
 * that list owns them. In the order of tags, on their channel, stand all of a living channel; that
 * list owns the TOLD. A TOLD one stays there until all before it are accepted too, because an ack
 * covers everything up to its tag.
 *
 * When the channel dies, or is drained, those that can never be acked become stale: they leave the
 * channel's list, and the other one frees them as soon as they are not lent.
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
    size_t *total;    /* of all that are there: these are among them; lent */
    bool stale;       /* can never be acked: it stands in order of arrival alone */
    char bytes[];     /* what the delivery's slices point to */
};

/* In order of arrival: lent ones in front, then those that wait. */
struct arrivals {
    struct unacked *first;
    struct unacked **tail;   /* where the next one is hung in */
    struct unacked **unlent; /* where the part begins that is not lent */
};

/* Of one channel, in order of tag. All zeros: empty. */
struct unacked_tags {
    struct unacked *first;
    struct unacked *last;
    size_t n;
    size_t bytes; /* their sizes */
};

typedef void unacked_fn(void *arg, const struct unacked *u);

/* How many bytes it takes. */
size_t unacked_size(const struct delivery *d);

/* Copies the delivery and everything it points to but subscription and owner, and adds its size
 * to *total, which is lent for its life. NULL when out of memory. */
struct unacked *unacked_new(const struct delivery *d, size_t *total);

struct unacked *unacked_of(struct delivery *d);

/* Walks it once, frees what is stale and not lent, and finds its parts again; also makes an empty
 * one of zeros. */
void unacked_sweep(struct arrivals *a);
void unacked_free_all(struct arrivals *a);

void unacked_arrive(struct arrivals *a, struct unacked *u);

/* True when unacked_lend would give something. */
bool unacked_waits(const struct arrivals *a);
size_t unacked_lend(struct arrivals *a, struct delivery **out, size_t max);

/* Takes back all that is lent: the accepted ones leave the list where the turn was told, the
 * others stand in front again. */
void unacked_take_back(struct arrivals *a, bool told);

void unacked_tag(struct unacked_tags *t, struct unacked *u);

/* Frees the TOLD ones in front, up to the first gap. The highest tag of them; 0: there is none. */
uint64_t unacked_pop_told(struct unacked_tags *t);

/* Frees those that are TOLD and endangered, wherever they stand, after `ack` of each. */
void unacked_pop_rescued(struct unacked_tags *t, unacked_fn *ack, void *arg);

/* Each one that is TOLD. */
void unacked_each_told(const struct unacked_tags *t, unacked_fn *fn, void *arg);

/* None of them will ever be acked; or none of those that are not lent, which are the last ones,
 * since a turn takes from the front. True when some are stale now: sweep. */
bool unacked_abandon(struct unacked_tags *t);
bool unacked_abandon_queued(struct unacked_tags *t);

#endif
