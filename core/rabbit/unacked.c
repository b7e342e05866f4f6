/* unacked - see unacked.h. */
#include "rabbit/unacked.h"

#include "wire/codec.h"

#include <stdlib.h>
#include <string.h>

static char *move_bytes(struct slice *s, char *block)
{
    if (s->data == NULL)
        return block;
    if (s->len > 0)
        memcpy(block, s->data, s->len);
    s->data = block;
    return block + s->len;
}

static size_t text_size(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static char *move_text(const char **text, char *block)
{
    size_t size = text_size(*text);

    if (size > 0)
        *text = memcpy(block, *text, size);
    return block + size;
}

size_t unacked_size(const struct delivery *d)
{
    return sizeof(struct unacked) + codec_message_size(&d->message) + d->exchange.len +
           d->routing_key.len + text_size(d->defect) + text_size(d->dead_lettered);
}

struct unacked *unacked_new(const struct delivery *d, size_t *total)
{
    const size_t size = unacked_size(d);
    struct unacked *u = malloc(size);
    char *at;

    if (u == NULL)
        return NULL;
    *u = (struct unacked){.delivery = *d, .state = UNACKED_QUEUED, .size = size, .total = total};
    *total += size;
    at = codec_message_move(&u->delivery.message, u->bytes);
    at = move_bytes(&u->delivery.exchange, at);
    at = move_bytes(&u->delivery.routing_key, at);
    at = move_text(&u->delivery.defect, at);
    move_text(&u->delivery.dead_lettered, at);
    return u;
}

static void free_one(struct unacked *u)
{
    *u->total -= u->size;
    free(u);
}

struct unacked *unacked_of(struct delivery *d)
{
    return (struct unacked *)d;
}

void unacked_sweep(struct arrivals *a)
{
    struct unacked **at = &a->first;

    a->unlent = NULL;
    while (*at != NULL) {
        struct unacked *u = *at;

        if (u->state == UNACKED_QUEUED && u->stale) {
            *at = u->next;
            free_one(u);
            continue;
        }
        if (u->state == UNACKED_QUEUED && a->unlent == NULL)
            a->unlent = at;
        at = &u->next;
    }
    a->tail = at;
    if (a->unlent == NULL)
        a->unlent = at;
}

void unacked_free_all(struct arrivals *a)
{
    while (a->first != NULL) {
        struct unacked *u = a->first;

        a->first = u->next;
        free_one(u);
    }
}

void unacked_arrive(struct arrivals *a, struct unacked *u)
{
    *a->tail = u;
    a->tail = &u->next;
}

bool unacked_waits(const struct arrivals *a)
{
    return *a->unlent != NULL;
}

size_t unacked_lend(struct arrivals *a, struct delivery **out, size_t max)
{
    size_t n = 0;

    while (n < max && unacked_waits(a)) {
        struct unacked *u = *a->unlent;

        u->state = UNACKED_LENT;
        a->unlent = &u->next;
        out[n++] = &u->delivery;
    }
    return n;
}

void unacked_take_back(struct arrivals *a, bool told)
{
    struct unacked **at = &a->first;

    while (*at != NULL && (*at)->state != UNACKED_QUEUED) {
        struct unacked *u = *at;
        bool leaves = u->stale || (told && u->state == UNACKED_ACCEPTED);

        u->state = told && u->state == UNACKED_ACCEPTED ? UNACKED_TOLD : UNACKED_QUEUED;
        if (leaves)
            *at = u->next;
        else
            at = &u->next;
        if (u->stale)
            free_one(u);
    }
    if (*at == NULL)
        a->tail = at;
    a->unlent = &a->first;
}

void unacked_tag(struct unacked_tags *t, struct unacked *u)
{
    if (t->last != NULL)
        t->last->next_on_channel = u;
    else
        t->first = u;
    t->last = u;
    t->n++;
    t->bytes += u->size;
}

/* Takes *at out of the list, whose `last` is the caller's to mend. */
static struct unacked *unhang(struct unacked_tags *t, struct unacked **at)
{
    struct unacked *u = *at;

    *at = u->next_on_channel;
    t->n--;
    t->bytes -= u->size;
    return u;
}

uint64_t unacked_pop_told(struct unacked_tags *t)
{
    uint64_t tag = 0;

    while (t->first != NULL && t->first->state == UNACKED_TOLD) {
        struct unacked *u = unhang(t, &t->first);

        tag = u->delivery.tag;
        free_one(u);
    }
    if (t->first == NULL)
        t->last = NULL;
    return tag;
}

void unacked_pop_rescued(struct unacked_tags *t, unacked_fn *ack, void *arg)
{
    struct unacked **at = &t->first;

    t->last = NULL;
    while (*at != NULL) {
        if ((*at)->state != UNACKED_TOLD || !(*at)->delivery.endangered) {
            t->last = *at;
            at = &(*at)->next_on_channel;
            continue;
        }
        ack(arg, *at);
        free_one(unhang(t, at));
    }
}

void unacked_each_told(const struct unacked_tags *t, unacked_fn *fn, void *arg)
{
    for (const struct unacked *u = t->first; u != NULL; u = u->next_on_channel)
        if (u->state == UNACKED_TOLD)
            fn(arg, u);
}

/* From *at on, nothing will ever be acked. */
static bool abandon_from(struct unacked_tags *t, struct unacked **at)
{
    bool stale = false;

    while (*at != NULL) {
        struct unacked *u = unhang(t, at);

        if (u->state == UNACKED_TOLD) {
            free_one(u);
            continue;
        }
        u->stale = true;
        stale = true;
    }
    return stale;
}

bool unacked_abandon(struct unacked_tags *t)
{
    t->last = NULL;
    return abandon_from(t, &t->first);
}

bool unacked_abandon_queued(struct unacked_tags *t)
{
    struct unacked **at = &t->first;

    t->last = NULL;
    while (*at != NULL && (*at)->state != UNACKED_QUEUED) {
        t->last = *at;
        at = &(*at)->next_on_channel;
    }
    return abandon_from(t, at);
}
