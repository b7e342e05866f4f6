/*
 * inspect_queue - a queue that exists and whose type no rule states, or whose rule has arguments:
 * what it is, where it differs, and what may end it
 */
#ifndef HERALD_RABBIT_INSPECT_QUEUE_H
#define HERALD_RABBIT_INSPECT_QUEUE_H

#include "rabbit/inspect_int.h"

/* Whether the question under way is about such a queue. */
bool inspect_is_probed(const struct inspection *in);

/* Asks the next bit of what it is (queue_probe.h). OK or the link's code. */
int inspect_ask_queue(struct inspection *in, struct err *err);

/* No more can be known: tells what was found. */
void inspect_tell_queue(const struct inspection *in);

/* The queue under way is there without a dead-letter queue of herald's. */
void inspect_tell_unguarded(const struct inspection *in);

#endif
