/*
 * outage - when an engine that cannot process gives back its unacked deliveries
 *
 * Trouble of store or machine that lasts is no reason to keep deliveries unacked: the broker's
 * time-out for consumers would run, and its limit of redeliveries, too. So consuming is stopped
 * once, and goes on when a turn has proved that the store can be written. Where that proof was
 * too good, and the deliveries bring the same trouble back, the next proof comes later each
 * time: every round is a redelivery.
 *
 * Arithmetic alone; the times are monotonic.
 */
#ifndef HERALD_ENGINE_OUTAGE_H
#define HERALD_ENGINE_OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    OUTAGE_STOP_MS = 10000, /* trouble that lasts so long */
    OUTAGE_WAIT_MIN_MS = 60000,
    OUTAGE_WAIT_MAX_MS = 3600000,
};

/* All is well with zeros. */
struct outage {
    bool in_trouble;
    int64_t since_ms; /* of the trouble */
    bool stopped;     /* consuming is */
    bool tried;       /* it was, and nothing has been processed since it goes on */
    int64_t wait_ms;  /* how long to wait at least before the next turn, where that was in vain */
};

/* A turn could not be run: true when consuming is to be stopped now. */
bool outage_trouble(struct outage *s, int64_t now_ms);

/* A turn was committed, and messages were handled in it or not: true when consuming is to go
 * on now. */
bool outage_over(struct outage *s, bool handled);

#endif
