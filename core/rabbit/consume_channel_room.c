/*
 * consume_channel_room - how many bytes a channel may have, so that all of them have no more than
 * the limit
 *
 * AMQP limits what is unacked by a number of messages, not of bytes. So all is well until large
 * messages come. Then the channel that has most is narrowed: its channel is closed, once, which
 * gives its messages back, and it consumes with a prefetch that fits the largest message it has
 * seen. Narrow channels have half of the limit between them, each reserves what it may need, and
 * those for whom nothing is left take turns: one that has nothing unacked makes room.
 *
 *            all have more than the limit, and this one most
 *   WIDE ------------------------------------------------------> NARROW
 *     ^                                                            |
 *     '---- no large message for a minute, and none unacked -------'
 */
#include "rabbit/consume_channel_int.h"

enum {
    PARTS = 8, /* a narrow channel needs this part of the limit at most, or one message */
    WIDE_AGAIN_MS = 60 * 1000,
    LOOK_AGAIN_MS = 1000,
    TURN_MS =
        100, /* a narrow channel with nothing unacked may stay for so long while others wait */
};

static size_t part(const struct consume_channel *f)
{
    return f->context->bytes_max / PARTS;
}

static int64_t now_ms(const struct consume_channel *f)
{
    return clock_mono(&f->context->clock);
}

uint16_t consume_channel_room_prefetch(const struct consume_channel *f, uint16_t wanted)
{
    return f->room.narrow != 0 && f->room.narrow < wanted ? f->room.narrow : wanted;
}

uint64_t consume_channel_ticket(const struct consume_channel *f)
{
    return f->room.ticket;
}

/* Gives back what no turn has, and consumes with a smaller prefetch from now on. `size`: of the
 * delivery that is too much, where it is this channel's. */
static void narrow(struct consume_channel *f, size_t size)
{
    struct consume_channel_room *room = &f->room;
    size_t fits;

    room->largest = size > room->largest ? size : room->largest;
    fits = room->largest > 0 ? part(f) / room->largest : 1;
    room->narrow = (uint16_t)(fits < 1 || room->narrow != 0 ? 1 : fits < 1000 ? fits : 1000);
    room->large_ms = now_ms(f);
    log_event(f->context->log, LOG_WARN, "broker.prefetch_narrowed",
              LOG_FIELDS(log_text("queue", consume_channel_queue(f)),
                         log_int("prefetch", room->narrow),
                         log_int("largest", (int64_t)room->largest),
                         log_text("why", "what is unacked is larger than prefetch_bytes")));
    consume_channel_renew(f);
}

/* True where it must be narrower for a delivery of this size. */
static bool outgrows(struct consume_channel *f, size_t size)
{
    struct consume_channel_room *room = &f->room;

    room->largest = size > room->largest ? size : room->largest;
    if (room->narrow != 0 && size > part(f) / 100)
        room->large_ms = now_ms(f);
    return room->narrow > 1 && size > 2 * part(f) / room->narrow;
}

static size_t need_of(const struct consume_channel *f)
{
    return f->room.narrow * f->room.largest;
}

bool consume_channel_room_enter(struct consume_channel *f)
{
    struct consume_channel_context *c = f->context;
    const size_t need = need_of(f);

    f->room.open_ms = now_ms(f);
    if (f->room.narrow == 0)
        return true;
    if (f->room.ticket == 0)
        f->room.ticket = ++c->tickets;
    if (c->served == 0)
        c->served = f->room.ticket;
    if (f->room.ticket != c->served || (c->reserved > 0 && c->reserved + need > c->bytes_max / 2))
        return false;
    f->room.ticket = c->served = 0;
    f->room.reserved = need;
    c->reserved += need;
    return true;
}

void consume_channel_room_leave(struct consume_channel *f)
{
    f->context->reserved -= f->room.reserved;
    f->room.reserved = 0;
}

static void widen(struct consume_channel *f)
{
    f->room = (struct consume_channel_room){.narrow = 0};
    log_event(f->context->log, LOG_INFO, "broker.prefetch_widened",
              LOG_FIELDS(log_text("queue", consume_channel_queue(f))));
    consume_channel_renew(f);
}

void consume_channel_room_step(struct consume_channel *f)
{
    struct consume_channel_room *room = &f->room;
    const int64_t now = now_ms(f);
    const bool over = now - room->large_ms >= WIDE_AGAIN_MS;

    if (room->narrow == 0 || f->state != CONSUME_CHANNEL_CONSUMING || f->draining)
        return;
    if (f->unacked.n > 0 && over)
        room->large_ms += LOOK_AGAIN_MS;
    else if (f->unacked.n == 0 && over)
        widen(f);
    else if (f->unacked.n == 0 && f->context->served != 0 && now - room->open_ms >= TURN_MS)
        consume_channel_renew(f);
}

int64_t consume_channel_room_due(const struct consume_channel *f)
{
    if (f->room.ticket != 0)
        return now_ms(f) + TURN_MS;
    return f->room.narrow != 0 && f->state == CONSUME_CHANNEL_CONSUMING
               ? f->room.large_ms + WIDE_AGAIN_MS
               : INT64_MAX;
}

void consume_channels_serve(struct consume_channel_context *c, struct consume_channel *const *all,
                            size_t n)
{
    uint64_t first = 0;

    if (c->tickets == 0) /* none was ever narrow */
        return;
    for (size_t i = 0; i < n; i++) {
        const uint64_t ticket = all[i]->room.ticket;

        if (ticket != 0 && (first == 0 || ticket < first))
            first = ticket;
    }
    c->served = first;
}

static struct consume_channel *widest(struct consume_channel *const *all, size_t n)
{
    struct consume_channel *most = NULL;

    for (size_t i = 0; i < n; i++)
        if (all[i]->room.narrow == 0 &&
            all[i]->unacked.bytes > (most != NULL ? most->unacked.bytes : 0))
            most = all[i];
    return most;
}

void consume_channels_make_room(struct consume_channel *const *all, size_t n,
                                struct consume_channel *f, size_t size)
{
    const struct consume_channel_context *c = f->context;
    struct consume_channel *most;

    if (outgrows(f, size))
        narrow(f, size);
    while (c->unacked_bytes + size > c->bytes_max && (most = widest(all, n)) != NULL)
        narrow(most, most == f ? size : 0);
}
