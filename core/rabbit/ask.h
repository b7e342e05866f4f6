/*
 * ask - the methods by which a broker is asked whether something is there, or to make it
 *
 * What is made is durable, so that it lives
 * as long as the messages in it.
 */
#ifndef HERALD_RABBIT_ASK_H
#define HERALD_RABBIT_ASK_H

#include "base/topology.h"
#include "wire/link.h"

/* Each sends one method and returns OK or the link's code. `passive` only asks; else
 * what is absent is made, and what is there but otherwise is refused with 406. The
 * default exchange must not be asked for. */
int ask_exchange(struct link *l, uint16_t channel, const char *name, enum exchange_kind kind,
                 bool passive, struct err *err);

/* How a queue is asked for, or made. */
enum queue_form {
    QUEUE_AS_IT_IS,       /* passively */
    QUEUE_CLASSIC_STATED, /* a virtual host may have another default */
    QUEUE_QUORUM_PLAIN,
    QUEUE_QUORUM_GUARDED, /* quorum, with a dead-letter queue: a name for it there must be */
    QUEUE_OF_DEAD,        /* such a dead-letter queue itself */
};

/* What a queue of this name and stated type is created as. */
enum queue_form ask_queue_form(const char *name, enum queue_type type);

int ask_queue(struct link *l, uint16_t channel, const char *name, enum queue_form form,
              struct err *err);

int ask_binding(struct link *l, uint16_t channel, const char *exchange, const char *queue,
                const char *routing_key, struct err *err);

/* Whether a queue can be consumed: a consumer that takes one message at most. */
int ask_consumer(struct link *l, uint16_t channel, const char *queue, struct err *err);

/* The consumer of ask_consumer ends; what it got goes back uncounted, where the broker makes a
 * difference. */
int ask_no_more(struct link *l, uint16_t channel, struct err *err);
int ask_back(struct link *l, uint16_t channel, uint64_t tag, struct err *err);

#endif
