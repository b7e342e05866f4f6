/*
 * given_up - what the broker gave up on: the queue where that goes, and the reason
 *
 * A quorum queue has a delivery limit (20 by default from RabbitMQ 4.0): what was handed out
 * and came back too often, because the router died, leaves the queue. A queue that herald
 * makes has a second one beside it where such messages go, its dead-letter queue; herald takes
 * them from there into its own dead letters.
 *
 *   "paynotify_queue" --- delivery limit, rejected, ... ---> "paynotify_queue.herald-dead"
 */
#ifndef HERALD_RABBIT_GIVEN_UP_H
#define HERALD_RABBIT_GIVEN_UP_H

#include "base/text.h"
#include "wire/rabbitmq.h"

enum { GIVEN_UP_NAME_MAX = 256, GIVEN_UP_WHY_MAX = 400 };

/* The name of its dead-letter queue. False, and "", where it has none: a name that would
 * become longer than AMQP's 255 bytes, or a queue that is one itself. */
bool given_up_name(const char *queue, char out[static GIVEN_UP_NAME_MAX]);

/* How a message got into the dead-letter queue of `queue`, from its headers. */
struct given_up {
    char why[GIVEN_UP_WHY_MAX]; /* in words */
    struct slice exchange;      /* where it was published to at first, lent by the headers; */
    struct slice routing_key;   /* absent where they do not say */
};

void given_up_read(const amqp_table_t *headers, const char *queue, struct given_up *out);

#endif
