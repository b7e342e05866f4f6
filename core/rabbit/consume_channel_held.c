/* consume_channel_held - what a feed holds unacked, in order of tag (held.h), and the acks
 * (consume_channel_int.h). */
#include "rabbit/consume_channel_int.h"

bool feed_has_channel(const struct feed *f)
{
    return f->state == FEED_CONSUMING || f->state == FEED_OPENING;
}

/* Takes the oldest one off its list. */
static struct held *pop(struct feed *f)
{
    struct held *h = f->first;

    f->first = h->next_on_feed;
    if (f->first == NULL)
        f->last = NULL;
    f->unacked--;
    f->bytes -= h->size;
    return h;
}

/* From *at on, nothing will ever be acked. */
static void abandon(struct feed *f, struct held **at)
{
    bool stale = false;

    while (*at != NULL) {
        struct held *h = *at;

        *at = h->next_on_feed;
        f->unacked--;
        f->bytes -= h->size;
        if (h->state == HELD_SETTLED) {
            held_free(h);
            continue;
        }
        h->stale = true;
        stale = true;
    }
    if (stale)
        f->context->stale(f->context->stale_arg);
}

void feed_end_epoch(struct feed *f)
{
    abandon(f, &f->first);
    f->last = NULL;
    feed_room_leave(f);
}

struct held *feed_deliver(struct feed *f, struct delivery *d)
{
    struct held *h;

    if (f->draining || !feed_has_channel(f))
        return NULL;
    d->subscription = f->subscription;
    d->epoch = f->epoch;
    d->owner = f;
    h = held_new(d, &f->context->held_bytes);
    if (h == NULL) {
        /* The broker keeps it; a new connection asks for it again. */
        f->context->broken = "out of memory for a delivery";
        return NULL;
    }
    h->came_ms = clock_mono(&f->context->clock);
    if (f->last != NULL)
        f->last->next_on_feed = h;
    else
        f->first = h;
    f->last = h;
    f->unacked++;
    f->bytes += h->size;
    return h;
}

void feed_ack(struct feed *f)
{
    amqp_basic_ack_t ack = {.multiple = true};
    struct err err = {0};

    while (f->first != NULL && f->first->state == HELD_SETTLED) {
        struct held *h = pop(f);

        ack.delivery_tag = h->delivery.tag;
        held_free(h);
    }
    if (ack.delivery_tag == 0)
        return;
    if (link_send(f->context->link, f->channel, AMQP_BASIC_ACK_METHOD, &ack, &err) != OK)
        f->context->broken = "an ack could not be sent";
}

static void ack_one(struct feed *f, const struct held *h)
{
    amqp_basic_ack_t ack = {.delivery_tag = h->delivery.tag};
    struct err err = {0};

    if (link_send(f->context->link, f->channel, AMQP_BASIC_ACK_METHOD, &ack, &err) != OK)
        f->context->broken = "an ack could not be sent";
}

void feed_ack_rescued(struct feed *f)
{
    struct held **at = &f->first;

    f->last = NULL;
    while (*at != NULL) {
        struct held *h = *at;

        if (h->state != HELD_SETTLED || !h->delivery.endangered) {
            f->last = h;
            at = &h->next_on_feed;
            continue;
        }
        ack_one(f, h);
        *at = h->next_on_feed;
        f->unacked--;
        f->bytes -= h->size;
        held_free(h);
    }
}

void feed_ack_beyond_gaps(struct feed *f)
{
    for (struct held *h = f->first; h != NULL; h = h->next_on_feed)
        if (h->state == HELD_SETTLED)
            ack_one(f, h);
}

void feed_drop_queued(struct feed *f)
{
    struct held **at = &f->first;

    f->last = NULL;
    while (*at != NULL && (*at)->state != HELD_QUEUED) {
        f->last = *at;
        at = &(*at)->next_on_feed;
    }
    abandon(f, at);
}
