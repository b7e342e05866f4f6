/*
 * due - values of a due_at that are words, not times
 */
#ifndef HERALD_STORE_DUE_H
#define HERALD_STORE_DUE_H

#include <stdint.h>

#define LANE_BEHIND INT64_MAX /* not the first of its lane (lane.h) */
#define BACKLOG_DUE                                                                                \
    (INT64_MAX - 1) /* in a backlog (outbox_backlog.h); below LANE_BEHIND, since the first of      \
                     * a lane may be */

#endif
