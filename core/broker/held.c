/* held - see held.h. */
#include "broker/held.h"

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

struct held *held_new(const struct delivery *d)
{
    size_t defect = d->defect != NULL ? strlen(d->defect) + 1 : 0;
    size_t size = codec_message_size(&d->message) + d->exchange.len + d->routing_key.len + defect;
    struct held *h = malloc(sizeof *h + size);
    char *at;

    if (h == NULL)
        return NULL;
    *h = (struct held){.delivery = *d, .state = HELD_QUEUED};
    at = codec_message_move(&h->delivery.message, h->bytes);
    at = move_bytes(&h->delivery.exchange, at);
    at = move_bytes(&h->delivery.routing_key, at);
    if (d->defect != NULL)
        h->delivery.defect = memcpy(at, d->defect, defect);
    return h;
}

struct held *held_of(struct delivery *d)
{
    return (struct held *)d;
}
