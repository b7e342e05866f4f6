/* turn_recent - which handled messages are kept for trials (turn_int.h). A turn of hundreds
 * writes the last few of them, so that the price of a message falls as the load grows: with
 * 100 kept and a small handler it is 5 to 9 % of the turn's own work at 500 messages a turn
 * (200 and 4,000 bytes of body), and some 10 us in a turn of one, which waits for an fsync. */
#include "engine/item.h"

enum { BODY_KEPT_MAX = 64 * 1024 }; /* a ring of large bodies would be the store's size */

void turn_recent_note(struct turn *t, const struct item *i)
{
    if (t->settings->recent_max == 0 || i->received.body.len > BODY_KEPT_MAX)
        return;
    t->recent[t->n_recent++ % (size_t)t->settings->recent_max] = (struct recent){
        .at = t->now_ms,
        .queue = i->queue,
        .message = i->received,
        .exchange = i->exchange,
        .routing_key = i->routing_key,
    };
}

int turn_recent_write(struct turn *t, struct err *err)
{
    size_t max = (size_t)t->settings->recent_max;
    size_t first = t->n_recent > max ? t->n_recent - max : 0;
    int rc = OK;

    if (t->n_recent == 0)
        return OK;
    for (size_t n = first; n < t->n_recent && rc == OK; n++)
        rc = recent_add(t->parts.db, &t->recent[n % max], err);
    return rc == OK ? recent_trim(t->parts.db, max, err) : rc;
}
