/*
 * dead_letter_queue - what the broker gave up on: the queue where that goes, and the reason
 *
 * A quorum queue has a delivery limit (20 by default from RabbitMQ 4.0): what was handed out
 * and came back too often, because the router died, leaves the queue. A queue that herald
 * makes has a second one beside it where such messages go, its dead-letter queue; herald takes
 * them from there into its own dead letters.
 *
 *   "paynotify_queue" --- delivery limit, rejected, ... ---> "paynotify_queue.herald-dead"
 */
#ifndef HERALD_RABBIT_DEAD_LETTER_QUEUE_H
#define HERALD_RABBIT_DEAD_LETTER_QUEUE_H

#include "base/text.h"
#include "wire/rabbitmq.h"

enum { DEAD_LETTER_QUEUE_NAME_MAX = 256, DEAD_LETTER_QUEUE_WHY_MAX = 400 };

/* The name of its dead-letter queue. False, and "", where it has none: a name that would
 * become longer than AMQP's 255 bytes, or a queue that is one itself. */
bool dead_letter_queue_name(const char *queue, char out[static DEAD_LETTER_QUEUE_NAME_MAX]);

/* How a message got into the dead-letter queue of `queue`, from its headers. */
struct dead_lettered {
    char why[DEAD_LETTER_QUEUE_WHY_MAX]; /* in words */
    struct slice exchange;    /* where it was published to at first, lent by the headers; */
    struct slice routing_key; /* absent where they do not say */
};

void dead_letter_queue_read(const amqp_table_t *headers, const char *queue,
                            struct dead_lettered *out);

#endif
