/* declare_channels - see declare_int.h. The channels on which a declare asks, and how long it waits
 * for an answer. */
#include "rabbit/declare_int.h"

#include "rabbit/channel.h"

#include <stdio.h>

enum {
    CHANNELS_PER_ONE = 8,  /* so many are left to others for each channel that is busy, */
    CHANNELS_PER_LATE = 4, /* and fewer while answers are late */
    TEXT_MAX = 500,
};

static size_t clamp(size_t n, size_t least, size_t most)
{
    return n < least ? least : n > most ? most : n;
}

bool declare_channel_is_late(const struct declare_channel *dc, int64_t now)
{
    return dc->item != NULL && now - dc->since_ms >= ANSWER_LATE_MS;
}

static struct declare_channel *open_one(struct declare *d, struct declare_channel *dc)
{
    dc->channel = channels_take(d->channels, CHANNELS_OF_DECLARE, dc);
    if (dc->channel == 0)
        return NULL;
    dc->link = d->link;
    dc->open = false;
    return dc;
}

struct declare_channel *declare_channel_for_one(struct declare *d)
{
    const size_t most = channels_most(d->channels);
    const size_t allowed = clamp(most / CHANNELS_PER_LATE, 2, DECLARE_CHANNELS_MAX);
    const int64_t now = clock_mono(&d->clock);
    struct declare_channel *closed = NULL;
    size_t busy = 0;

    for (size_t i = 0; i < allowed; i++) {
        struct declare_channel *dc = &d->declaring[i];

        if (dc->channel != 0 && dc->item == NULL)
            return dc;
        if (dc->channel == 0 && closed == NULL)
            closed = dc;
        busy += dc->item != NULL && !declare_channel_is_late(dc, now);
    }
    if (closed == NULL || busy >= clamp(most / CHANNELS_PER_ONE, 1, DECLARE_CHANNELS_BUSY))
        return NULL;
    return open_one(d, closed);
}

void declare_channel_take(struct declare *d, struct declare_channel *dc, struct declare_item *item)
{
    dc->item = item;
    dc->since_ms = clock_mono(&d->clock);
    item->asked_on = dc;
}

/* A link that cannot take the close is going down, and that frees the channel as well. */
static void leave(struct declare *d, struct declare_channel *dc)
{
    struct err err = {0};

    if (dc->open)
        (void)channels_leave(d->channels, dc->channel, &err);
    else
        channels_release(d->channels, dc->channel);
    dc->channel = 0;
    dc->open = false;
}

static void give_up(struct declare *d, struct declare_channel *dc)
{
    struct declare_item *item = dc->item;
    char why[TEXT_MAX];

    snprintf(why, sizeof why,
             "%s \"%s\"%s%s%s: the broker has not answered its declaration for %d s; it is asked "
             "again on a connection of its own, and nothing else waits for it",
             declare_item_kind(item), declare_item_name(item),
             item->kind == ITEM_BINDING ? " to exchange \"" : "",
             item->kind == ITEM_BINDING ? item->exchange->name : "",
             item->kind == ITEM_BINDING ? "\"" : "", ANSWER_MOST_MS / 1000);
    declare_item_miss(d, item, why);
    leave(d, dc);
}

/* Closes all but the first, which is needed again soon; that one, too, where somebody wants a
 * channel and there is no other. */
static void close_idle(struct declare *d)
{
    size_t kept = channels_most(d->channels) > 1;

    for (size_t i = 0; i < DECLARE_CHANNELS_MAX; i++)
        if (d->declaring[i].channel != 0 && d->declaring[i].item != NULL)
            return;
    for (size_t i = 0; i < DECLARE_CHANNELS_MAX; i++)
        if (d->declaring[i].channel != 0 && i >= kept)
            leave(d, &d->declaring[i]);
}

static bool is_waiting(const struct declare *d)
{
    for (size_t i = 0; i < d->n_items; i++)
        if (declare_state(d->items[i]) == DECLARE_WAITING && d->items[i]->asked_on == NULL)
            return true;
    return false;
}

void declare_channels_step(struct declare *d, int64_t now)
{
    for (size_t i = 0; i < DECLARE_CHANNELS_MAX; i++)
        if (d->declaring[i].item != NULL && now - d->declaring[i].since_ms >= ANSWER_MOST_MS)
            give_up(d, &d->declaring[i]);
    if (!is_waiting(d))
        close_idle(d);
}

int64_t declare_channels_due(const struct declare *d)
{
    const int64_t now = clock_mono(&d->clock);
    int64_t due = INT64_MAX;

    for (size_t i = 0; i < DECLARE_CHANNELS_MAX; i++) {
        const struct declare_channel *dc = &d->declaring[i];
        int64_t one;

        if (dc->item == NULL)
            continue;
        one = dc->since_ms + (declare_channel_is_late(dc, now) ? ANSWER_MOST_MS : ANSWER_LATE_MS);
        due = one < due ? one : due;
    }
    return due;
}

void declare_channels_down(struct declare *d)
{
    for (size_t i = 0; i < DECLARE_CHANNELS_MAX; i++)
        d->declaring[i] = (struct declare_channel){.link = NULL};
}
