/*
 * due - values of a due_at that are words, not times
 */
#ifndef HERALD_STORE_DUE_H
#define HERALD_STORE_DUE_H

#include <stdint.h>

#define LANE_HELD INT64_MAX /* not the first of its lane (lane.h) */
#define ASIDE_DUE                                                                                  \
    (INT64_MAX - 1) /* set aside (outbox_aside.h); below LANE_HELD, since the first of             \
                     * a lane may be */

#endif
