/* channels - see channels.h. */
#include "rabbit/channels.h"

#include "rabbit/channel.h"

#include <stdlib.h>
#include <string.h>

enum { CHANNELS_KEPT = 8191 }; /* more are never used, whatever a broker allows */

enum channel_state { CHANNEL_FREE, CHANNEL_TAKEN, CHANNEL_CLOSING };

struct place {
    enum channel_state state;
    enum channels_use use; /* TAKEN */
    void *owner;           /* TAKEN; lent */
};

struct channels {
    struct link *link; /* lent */
    size_t leaving;    /* how many are CLOSING */
    struct place places[CHANNELS_KEPT + 1];
};

struct channels *channels_new(struct link *link)
{
    struct channels *c = calloc(1, sizeof *c);

    if (c != NULL)
        c->link = link;
    return c;
}

void channels_free(struct channels **c)
{
    free(*c);
    *c = NULL;
}

struct link *channels_link(const struct channels *c)
{
    return c->link;
}

size_t channels_most(const struct channels *c)
{
    size_t most = link_channel_max(c->link);

    return most < CHANNELS_KEPT ? most : CHANNELS_KEPT;
}

uint16_t channels_take(struct channels *c, enum channels_use use, void *owner)
{
    const size_t most = channels_most(c);

    for (size_t i = 1; i <= most; i++) {
        size_t n = use == CHANNELS_OF_WORK ? i % most + 1 : i == 1 ? 1 : most + 2 - i;

        if (c->places[n].state != CHANNEL_FREE)
            continue;
        c->places[n] = (struct place){CHANNEL_TAKEN, use, owner};
        return (uint16_t)n;
    }
    return 0;
}

void channels_release(struct channels *c, uint16_t n)
{
    c->leaving -= c->places[n].state == CHANNEL_CLOSING;
    c->places[n] = (struct place){.state = CHANNEL_FREE};
}

void channels_orphan(struct channels *c, uint16_t n)
{
    c->places[n] = (struct place){.state = CHANNEL_CLOSING};
    c->leaving++;
}

int channels_leave(struct channels *c, uint16_t n, struct err *err)
{
    channels_orphan(c, n);
    return channel_close(c->link, n, err);
}

size_t channels_leaving(const struct channels *c)
{
    return c->leaving;
}

void *channels_owner(const struct channels *c, enum channels_use use, uint16_t n)
{
    if (n > CHANNELS_KEPT || c->places[n].state != CHANNEL_TAKEN || c->places[n].use != use)
        return NULL;
    return c->places[n].owner;
}

bool channels_is_left(const struct channels *c, uint16_t n)
{
    return n <= CHANNELS_KEPT && c->places[n].state == CHANNEL_CLOSING;
}

bool channels_hear(struct channels *c, uint16_t n, const amqp_method_t *method)
{
    struct err err = {0};

    if (!channels_is_left(c, n))
        return false;
    if (method->id == AMQP_CHANNEL_CLOSE_OK_METHOD)
        channels_release(c, n);
    /* Both sides closed at once: our close-ok is still to come. A link that cannot take the
     * answer is going down. */
    if (method->id == AMQP_CHANNEL_CLOSE_METHOD)
        (void)channel_close_ok(c->link, n, &err);
    return true;
}

void channels_down(struct channels *c)
{
    memset(c->places, 0, sizeof c->places);
    c->leaving = 0;
}
