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
    struct unacked *h = malloc(size);
    char *at;

    if (h == NULL)
        return NULL;
    *h = (struct unacked){.delivery = *d, .state = UNACKED_QUEUED, .size = size, .total = total};
    *total += size;
    at = codec_message_move(&h->delivery.message, h->bytes);
    at = move_bytes(&h->delivery.exchange, at);
    at = move_bytes(&h->delivery.routing_key, at);
    at = move_text(&h->delivery.defect, at);
    move_text(&h->delivery.dead_lettered, at);
    return h;
}

void unacked_free(struct unacked *h)
{
    *h->total -= h->size;
    free(h);
}

struct unacked *unacked_of(struct delivery *d)
{
    return (struct unacked *)d;
}
