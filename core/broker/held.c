/* held - see held.h. */
#include "broker/held.h"

#include <stdlib.h>
#include <string.h>

/* The slices of a delivery, so that sizing and copying agree. */
enum { SLICES = 10 };

static void list_slices(struct delivery *d, struct slice *out[SLICES])
{
    struct message *m = &d->message;
    struct slice *all[SLICES] = {&m->id,          &m->type,    &m->key[0],       &m->key[1],
                                 &m->key[2],      &m->headers, &m->content_type, &d->exchange,
                                 &d->routing_key, &m->body};

    memcpy(out, all, sizeof all);
}

static size_t slices_size(struct slice *const slices[SLICES])
{
    size_t size = 0;

    for (size_t i = 0; i < SLICES; i++)
        size += slices[i]->len;
    return size;
}

/* Moves each slice's bytes to `to`; an absent one stays absent. */
static char *move_slices(struct slice *const slices[SLICES], char *to)
{
    for (size_t i = 0; i < SLICES; i++) {
        if (slices[i]->data == NULL)
            continue;
        if (slices[i]->len > 0)
            memcpy(to, slices[i]->data, slices[i]->len);
        slices[i]->data = to;
        to += slices[i]->len;
    }
    return to;
}

struct held *held_new(const struct delivery *d)
{
    struct delivery copy = *d;
    size_t defect = d->defect != NULL ? strlen(d->defect) + 1 : 0;
    struct slice *slices[SLICES];
    struct held *h;
    char *end;

    list_slices(&copy, slices);
    h = malloc(sizeof *h + slices_size(slices) + defect);
    if (h == NULL)
        return NULL;
    *h = (struct held){.state = HELD_QUEUED};
    end = move_slices(slices, h->bytes);
    if (d->defect != NULL) {
        memcpy(end, d->defect, defect);
        copy.defect = end;
    }
    h->delivery = copy;
    return h;
}

struct held *held_of(struct delivery *d)
{
    return (struct held *)d;
}
