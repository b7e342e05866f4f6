/* declare_lanes - see declare_int.h. The channels on which a declare asks, and how long it waits
 * for an answer. */
#include "rabbit/declare_int.h"

#include "rabbit/channel.h"

#include <stdio.h>

enum {
    CHANNELS_PER_LANE = 8, /* so many are left to others for each lane that is busy, */
    CHANNELS_PER_LATE = 4, /* and fewer while answers are late */
    TEXT_MAX = 500,
};

static size_t clamp(size_t n, size_t least, size_t most)
{
    return n < least ? least : n > most ? most : n;
}

bool declare_lane_is_late(const struct lane *lane, int64_t now)
{
    return lane->item != NULL && now - lane->since_ms >= ANSWER_LATE_MS;
}

static struct lane *open_lane(struct declare *d, struct lane *lane)
{
    lane->channel = channels_take(d->channels, CHANNELS_OF_DECLARE, lane);
    if (lane->channel == 0)
        return NULL;
    lane->link = d->link;
    lane->open = false;
    return lane;
}

struct lane *declare_lane(struct declare *d)
{
    const size_t most = channels_most(d->channels);
    const size_t lanes = clamp(most / CHANNELS_PER_LATE, 2, LANES_MAX);
    const int64_t now = clock_mono(&d->clock);
    struct lane *closed = NULL;
    size_t busy = 0;

    for (size_t i = 0; i < lanes; i++) {
        struct lane *lane = &d->lanes[i];

        if (lane->channel != 0 && lane->item == NULL)
            return lane;
        if (lane->channel == 0 && closed == NULL)
            closed = lane;
        busy += lane->item != NULL && !declare_lane_is_late(lane, now);
    }
    if (closed == NULL || busy >= clamp(most / CHANNELS_PER_LANE, 1, LANES_BUSY))
        return NULL;
    return open_lane(d, closed);
}

void declare_lane_take(struct declare *d, struct lane *lane, struct declare_item *item)
{
    lane->item = item;
    lane->since_ms = clock_mono(&d->clock);
    item->lane = lane;
}

/* A link that cannot take the close is going down, which frees the channel as well. */
static void leave(struct declare *d, struct lane *lane)
{
    struct err err = {0};

    if (lane->open)
        (void)channels_leave(d->channels, lane->channel, &err);
    else
        channels_release(d->channels, lane->channel);
    lane->channel = 0;
    lane->open = false;
}

static void give_up(struct declare *d, struct lane *lane)
{
    struct declare_item *item = lane->item;
    char why[TEXT_MAX];

    snprintf(why, sizeof why,
             "%s \"%s\"%s%s%s: the broker has not answered its declaration for %d s; it is asked "
             "again on a connection of its own, and nothing else waits for it",
             declare_item_kind(item), declare_item_name(item),
             item->kind == ITEM_BINDING ? " to exchange \"" : "",
             item->kind == ITEM_BINDING ? item->exchange->name : "",
             item->kind == ITEM_BINDING ? "\"" : "", ANSWER_MOST_MS / 1000);
    declare_item_miss(d, item, why);
    leave(d, lane);
}

/* All but the first, which is needed again soon, and that one where somebody wants a channel
 * and there is no other. */
static void close_idle(struct declare *d)
{
    size_t kept = channels_most(d->channels) > 1;

    for (size_t i = 0; i < LANES_MAX; i++)
        if (d->lanes[i].channel != 0 && d->lanes[i].item != NULL)
            return;
    for (size_t i = 0; i < LANES_MAX; i++)
        if (d->lanes[i].channel != 0 && i >= kept)
            leave(d, &d->lanes[i]);
}

static bool is_waiting(const struct declare *d)
{
    for (size_t i = 0; i < d->n_items; i++)
        if (declare_state(d->items[i]) == DECLARE_WAITING && d->items[i]->lane == NULL)
            return true;
    return false;
}

void declare_lanes_step(struct declare *d, int64_t now)
{
    for (size_t i = 0; i < LANES_MAX; i++)
        if (d->lanes[i].item != NULL && now - d->lanes[i].since_ms >= ANSWER_MOST_MS)
            give_up(d, &d->lanes[i]);
    if (!is_waiting(d))
        close_idle(d);
}

int64_t declare_lanes_due(const struct declare *d)
{
    const int64_t now = clock_mono(&d->clock);
    int64_t due = INT64_MAX;

    for (size_t i = 0; i < LANES_MAX; i++) {
        const struct lane *lane = &d->lanes[i];
        int64_t one;

        if (lane->item == NULL)
            continue;
        one = lane->since_ms + (declare_lane_is_late(lane, now) ? ANSWER_MOST_MS : ANSWER_LATE_MS);
        due = one < due ? one : due;
    }
    return due;
}

void declare_lanes_down(struct declare *d)
{
    for (size_t i = 0; i < LANES_MAX; i++)
        d->lanes[i] = (struct lane){.link = NULL};
}
