/*
 * counters - what happened since the start, for status and metrics
 *
 * A turn counts aside and adds only when it has committed, so nothing is counted
 * twice when a turn is run again.
 */
#ifndef HERALD_ENGINE_COUNTERS_H
#define HERALD_ENGINE_COUNTERS_H

#include <stdint.h>

/* name, meaning */
#define COUNTER_MAP(X)                                                                             \
    X(delivered, "deliveries taken from queues")                                                   \
    X(handled, "messages whose handler returned")                                                  \
    X(unhandled, "messages that no handler wanted, acknowledged")                                  \
    X(duplicates, "deliveries seen before, acknowledged without effect")                           \
    X(unidentified, "messages without any id, handled at least once")                              \
    X(rescued, "messages taken into the store, untried, before the broker gives up on them")       \
    X(behind, "messages that wait, untried, behind an earlier one of their lane")                  \
    X(failed, "attempts that failed")                                                              \
    X(pauses, "times a subscription was paused because every message failed alike")                \
    X(probes, "tries of messages of paused subscriptions that failed alike")                       \
    X(recalled, "dead letters taken back because their subscription was paused")                   \
    X(retried, "attempts that were repeats")                                                       \
    X(dead, "messages that became dead letters")                                                   \
    X(emitted, "outbox rows written by handlers")                                                  \
    X(published, "publishes handed to the broker")                                                 \
    X(confirmed, "publishes confirmed by the broker")                                              \
    X(returned, "publishes that no queue took")                                                    \
    X(dropped, "unroutable messages dropped as their route says")                                  \
    X(unwanted, "answers that nobody waits for any more, or that no queue took")                   \
    X(nacked, "publishes the broker refused")                                                      \
    X(timed_out, "publishes without an answer in time")                                            \
    X(interrupted, "publishes whose channel went away first")                                      \
    X(parked, "outbox rows moved to the dead letters")                                             \
    X(turns, "transactions committed")                                                             \
    X(reruns, "turns run again because a handler ended the transaction")

struct counters {
#define X(name, meaning) int64_t name;
    COUNTER_MAP(X)
#undef X
};

/* to += from */
void counters_add(struct counters *to, const struct counters *from);

#endif
