/* declare_state - see declare.h. What a declare tells of itself. */
#include "rabbit/declare_int.h"

#include <stdio.h>

int64_t declare_due(const struct declare *d)
{
    int64_t due = declare_channels_due(d);

    for (size_t i = 0; i < d->n_items; i++)
        if (declare_state(d->items[i]) == DECLARE_REFUSED && d->items[i]->due_ms < due)
            due = d->items[i]->due_ms;
    return due;
}

/* Nobody waits for it: its answer did not come or is late, or it waits for such a one itself. */
static bool is_held(const struct declare_item *item, int64_t now)
{
    if (item == NULL || item->state == DECLARE_UNANSWERED)
        return item != NULL;
    if (item->asked_on != NULL && declare_channel_is_late(item->asked_on, now))
        return true;
    return is_held(item->exchange, now) || is_held(item->queue, now);
}

bool declare_is_answered(const struct declare *d)
{
    const int64_t now = clock_mono(&d->clock);

    for (size_t i = 0; i < d->n_items; i++)
        if (declare_state(d->items[i]) == DECLARE_WAITING && !is_held(d->items[i], now))
            return false;
    return true;
}

const char *declare_trouble(const struct declare *d)
{
    for (size_t i = 0; i < d->n_items; i++)
        if (d->items[i]->planned && d->items[i]->kind != ITEM_DEAD &&
            d->items[i]->kind != ITEM_TARGET && declare_why(d->items[i])[0] != '\0')
            return declare_why(d->items[i]);
    return NULL;
}

bool declare_trouble_at(const struct declare *d, size_t *n, struct broker_trouble *out)
{
    for (size_t i = 0; i < d->n_items; i++) {
        const struct declare_item *item = d->items[i];

        if (declare_why(item)[0] == '\0')
            continue;
        if (*n > 0) {
            --*n;
            continue;
        }
        *out = (struct broker_trouble){.what = declare_item_kind(item),
                                       .name = declare_item_name(item),
                                       .why = declare_why(item)};
        return true;
    }
    return false;
}

bool declare_is_late(const struct declare *d)
{
    const int64_t now = clock_mono(&d->clock);

    for (size_t i = 0; i < DECLARE_CHANNELS_MAX; i++)
        if (declare_channel_is_late(&d->declaring[i], now) && d->declaring[i].item->planned &&
            d->declaring[i].item->kind != ITEM_DEAD && d->declaring[i].item->kind != ITEM_TARGET)
            return true;
    return false;
}

const char *declare_awaited(const struct declare *d, char *out, size_t size)
{
    const int64_t now = clock_mono(&d->clock);
    size_t waiting = 0;

    for (size_t i = 0; i < d->n_items; i++) {
        const struct declare_item *item = d->items[i];

        waiting += declare_state(item) == DECLARE_WAITING;
        if (item->dropped || item->asked_on == NULL ||
            !declare_channel_is_late(item->asked_on, now))
            continue;
        snprintf(out, size, "%s \"%s\": the broker has not answered its declaration for %lld s",
                 declare_item_kind(item), declare_item_name(item),
                 (long long)((now - item->asked_on->since_ms) / 1000));
        return out;
    }
    if (waiting == 0)
        return NULL;
    snprintf(out, size, "%zu of %zu declarations are still to be answered", waiting, d->n_items);
    return out;
}
