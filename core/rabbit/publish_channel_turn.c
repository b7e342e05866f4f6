/* publish_channel_turn - see publish_channels.h. Which outlet needs a channel, and how it parts
 * with one. */
#include "rabbit/publish_channel_int.h"

bool outlet_is_declared(const struct outlet *o)
{
    return o->item == NULL || declare_state(o->item) == DECLARE_READY;
}

bool outlet_ask(struct outlet *o)
{
    o->used_ms = clock_mono(&o->context->clock);
    o->asked = o->state != OUTLET_OPEN || o->gives_way;
    return o->asked;
}

bool outlet_is_short(const struct outlet *o)
{
    return o->state == OUTLET_DECLARING && o->asked && outlet_is_declared(o);
}

bool outlet_is_idle(const struct outlet *o)
{
    return window_waiting(o->window) == 0 && o->held == 0;
}

bool outlet_is_open(const struct outlet *o)
{
    return o->state == OUTLET_OPEN;
}

bool outlet_gives_way(const struct outlet *o)
{
    return o->gives_way;
}

int64_t outlet_asked_ms(const struct outlet *o)
{
    return o->used_ms;
}

/* Nothing is under way on it, so nobody need wait for the close-ok. */
static void leave_channel(struct outlet *o)
{
    struct err err = {0};

    if (channels_leave(o->context->channels, o->channel, &err) != OK)
        o->context->broken = "a channel could not be closed";
    (void)window_drop(o->window); /* it is empty: its tags start over */
    o->channel = 0;
    o->gives_way = false;
    o->state = OUTLET_DECLARING;
}

void outlet_give_way(struct outlet *o)
{
    o->gives_way = true;
    if (outlet_is_idle(o))
        leave_channel(o);
}
