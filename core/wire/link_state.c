/* link_state - what an owner may ask about a link (link.h). */
#include "wire/link_int.h"

bool link_is_up(const struct link *l)
{
    return l->state == LINK_RUN;
}

bool link_is_blocked(const struct link *l)
{
    return l->blocked;
}

const char *link_state_word(const struct link *l)
{
    static const char *const words[] = {
        [LINK_IDLE] = "idle",       [LINK_CONNECT] = "connecting", [LINK_HANDSHAKE] = "connecting",
        [LINK_RUN] = "up",          [LINK_BROKEN] = "waiting",     [LINK_WAIT] = "waiting",
        [LINK_CLOSING] = "closing", [LINK_CLOSED] = "closed",
    };

    return words[l->state];
}

const char *link_error(const struct link *l)
{
    return l->why.text;
}

uint32_t link_frame_max(const struct link *l)
{
    return l->frame_max;
}

uint16_t link_channel_max(const struct link *l)
{
    return l->channel_max;
}

amqp_method_number_t link_fault(const struct link *l)
{
    return l->fault;
}
