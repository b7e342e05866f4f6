/*
 * explain - a broker's refusal of a declaration, in words that lead to a setting
 *
 * RabbitMQ says: "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue
 * 'q' in vhost '/': received 'classic' but current is 'quorum'". What a person wants
 * to know is what is there, what was asked for, and what to change where.
 */
#ifndef HERALD_RABBIT_EXPLAIN_H
#define HERALD_RABBIT_EXPLAIN_H

#include "base/topology.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct refusal {
    uint16_t code;              /* the broker's reply code */
    const char *text;           /* "404 NOT_FOUND - ..." as channel_why gives it */
    const char *what;           /* "queue", "exchange", "binding" */
    const char *name;           /* of the thing */
    const char *origin;         /* "rules/orders.lua:12", or NULL */
    enum queue_type queue_type; /* what the rule states; QUEUE_ANY for the rest */
};

/* Writes one line, cut to `size`. Returns `out`. */
const char *explain_refusal(const struct refusal *r, char *out, size_t size);

/* True for a refusal that is about a dead-letter queue, of a queue that was asked for with one:
 * it is there without, or with another one, or the user may not have it dead-lettered. `text`
 * as channel_why gives it. */
bool explain_is_of_dead_letters(const char *text);

/* An exchange that is there, but not as the rules would make it, in words: it is taken
 * as it is. `text` is the broker's 406. Writes one line, cut to `size`; returns `out`. */
const char *explain_exchange(const char *name, const char *text, char *out, size_t size);

/* "quorum", "classic", or "" for QUEUE_ANY. */
const char *explain_queue_type(enum queue_type type);

#endif
