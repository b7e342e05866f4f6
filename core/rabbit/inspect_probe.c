/* inspect_probe - see inspect_probe.h. */
#include "rabbit/inspect_probe.h"

#include "rabbit/channel.h"

#include <stdlib.h>

struct probe {
    const char *queue;  /* lent */
    const char *origin; /* lent */
    bool done;
};

struct probes {
    struct link *link;    /* lent */
    struct probe *probes; /* owned; on channel CHANNEL_FIRST + i */
    size_t n_probes;
};

struct probes *probes_new(struct link *link)
{
    struct probes *p = calloc(1, sizeof *p);

    if (p != NULL)
        p->link = link;
    return p;
}

void probes_free(struct probes **p)
{
    if (*p == NULL)
        return;
    free((*p)->probes);
    free(*p);
    *p = NULL;
}

int probes_add(struct probes *p, const char *queue, const char *origin, struct err *err)
{
    const size_t channel = CHANNEL_FIRST + p->n_probes;
    struct probe *probes;
    int rc;

    if (channel > link_channel_max(p->link))
        return OK;
    probes = realloc(p->probes, (p->n_probes + 1) * sizeof *probes);
    if (probes == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a probe");
    p->probes = probes;
    probes[p->n_probes++] = (struct probe){.queue = queue, .origin = origin};
    rc = channel_open(p->link, (uint16_t)channel, err);
    return rc == OK ? ask_consumer(p->link, (uint16_t)channel, queue, err) : rc;
}

static struct probe *probe_on(struct probes *p, uint16_t channel)
{
    const size_t i = (size_t)channel - CHANNEL_FIRST;

    return channel >= CHANNEL_FIRST && i < p->n_probes ? &p->probes[i] : NULL;
}

int probes_method(struct probes *p, uint16_t channel, const amqp_method_t *method, struct err *err)
{
    struct probe *probe = probe_on(p, channel);

    if (probe == NULL)
        return OK;
    switch (method->id) {
    case AMQP_BASIC_CONSUME_OK_METHOD:
        probe->done = true;
        return ask_no_more(p->link, channel, err);
    case AMQP_CHANNEL_CLOSE_METHOD:
        probe->done = true;
        return channel_close_ok(p->link, channel, err);
    default: /* open-ok, qos-ok and cancel-ok need no answer */
        return OK;
    }
}

int probes_content(struct probes *p, const struct codec_content *content, struct err *err)
{
    const amqp_basic_deliver_t *deliver = content->method->decoded;

    if (content->method->id != AMQP_BASIC_DELIVER_METHOD)
        return OK;
    return ask_back(p->link, content->channel, deliver->delivery_tag, err);
}

const char *probes_waiting(const struct probes *p, size_t n, const char **origin)
{
    for (size_t i = 0; i < p->n_probes; i++) {
        if (p->probes[i].done || n-- > 0)
            continue;
        *origin = p->probes[i].origin;
        return p->probes[i].queue;
    }
    return NULL;
}
