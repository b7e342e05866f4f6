/*
 * inspect_probe - whether empty queues can be consumed, for inspect.h
 *
 * A quorum queue that has lost its majority answers a passive declaration like an empty one, and
 * a consume not at all. So one that seems empty is consumed, for a moment, on a channel of its
 * own. That takes nothing out of it (what comes in that moment goes back), and is only done with
 * quorum queues, which never go with their last consumer. It is over with the consume-ok, or a
 * channel.close, which is an answer, too (no right to it).
 */
#ifndef HERALD_RABBIT_INSPECT_PROBE_H
#define HERALD_RABBIT_INSPECT_PROBE_H

#include "wire/link.h"

struct probes;

struct probes *probes_new(struct link *link); /* NULL when out of memory */
void probes_free(struct probes **p);          /* NULL is fine */

/* The link is up, and this queue is there, is a quorum queue and seems empty. `queue` and `origin`
 * are lent for life. Where there is no channel for it, nothing happens. OK, ERR_NOMEM, or the
 * link's code. */
int probes_add(struct probes *p, const char *queue, const char *origin, struct err *err);

/* Something came on a channel but CHANNEL_DECLARE. OK or the link's code. */
int probes_method(struct probes *p, uint16_t channel, const amqp_method_t *method, struct err *err);
int probes_content(struct probes *p, const struct codec_content *content, struct err *err);

/* The n-th queue that has not answered yet, NULL: no more; where it is named. */
const char *probes_waiting(const struct probes *p, size_t n, const char **origin);

#endif
