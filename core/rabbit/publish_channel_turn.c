/* publish_channel_turn - see publish_channels.h. Which outlet needs a channel, and how it parts
 * with one. */
#include "rabbit/publish_channel_int.h"

bool publish_channel_is_declared(const struct publish_channel *o)
{
    return o->item == NULL || declare_state(o->item) == DECLARE_READY;
}

bool publish_channel_ask(struct publish_channel *o, int64_t now)
{
    o->used_ms = now;
    o->asked = o->state != PUBLISH_CHANNEL_OPEN || o->gives_way;
    return o->asked;
}

bool publish_channel_is_short(const struct publish_channel *o)
{
    return o->state == PUBLISH_CHANNEL_DECLARING && o->asked && publish_channel_is_declared(o);
}

bool publish_channel_is_idle(const struct publish_channel *o)
{
    return window_waiting(o->window) == 0 && o->reserved == 0;
}

bool publish_channel_is_open(const struct publish_channel *o)
{
    return o->state == PUBLISH_CHANNEL_OPEN;
}

bool publish_channel_gives_way(const struct publish_channel *o)
{
    return o->gives_way;
}

int64_t publish_channel_asked_ms(const struct publish_channel *o)
{
    return o->used_ms;
}

/* Nothing is under way on it, so nobody need wait for the close-ok. */
static void leave_channel(struct publish_channel *o)
{
    struct err err = {0};

    if (channels_leave(o->context->channels, o->channel, &err) != OK)
        o->context->broken = "a channel could not be closed";
    (void)window_drop(o->window); /* it is empty: its tags start over */
    o->channel = 0;
    o->gives_way = false;
    o->state = PUBLISH_CHANNEL_DECLARING;
}

void publish_channel_give_way(struct publish_channel *o)
{
    o->gives_way = true;
    if (publish_channel_is_idle(o))
        leave_channel(o);
}
