/*
 * channel - the few methods that every AMQP channel needs, and the broker's words
 *
 * A channel that its peer closes must be answered with close-ok; after that its
 * number is free for a new channel. (AMQP 0-9-1, 1.5.2)
 */
#ifndef HERALD_RABBIT_CHANNEL_H
#define HERALD_RABBIT_CHANNEL_H

#include "base/topology.h"
#include "wire/link.h"

enum {
    CHANNEL_DECLARE = 1,        /* the throw-away channel of declarations */
    CHANNEL_FIRST = 2,          /* the first one of an exchange or a subscription */
    CHANNEL_RPC_MS = 60 * 1000, /* a broker that answers no method for so long is not well */
};

/* Each returns OK or the link's code. */
int channel_open(struct link *l, uint16_t channel, struct err *err);
int channel_close(struct link *l, uint16_t channel, struct err *err);
int channel_close_ok(struct link *l, uint16_t channel, struct err *err);

/* "404 NOT_FOUND - no exchange 'x' in vhost '/'" cut to `size`. Returns `out`. */
const char *channel_why(const amqp_channel_close_t *close, char *out, size_t size);

/* True when AMQP's bytes equal the text. */
bool channel_bytes_are(amqp_bytes_t bytes, const char *text);

/* Asking. Each of these sends one method and returns OK or the link's code. `passive` only asks;
 * else what is absent is made, and what is there but otherwise is refused with 406. The default
 * exchange must not be asked for. */
int ask_exchange(struct link *l, uint16_t channel, const char *name, enum exchange_kind kind,
                 bool passive, struct err *err);

/* How a queue is asked for, or made. */
enum queue_form {
    QUEUE_AS_IT_IS,       /* passively */
    QUEUE_CLASSIC_STATED, /* a virtual host may have another default */
    QUEUE_QUORUM_PLAIN,
    QUEUE_QUORUM_DEAD_LETTERING, /* quorum, with a dead-letter queue: a name for it there must be */
    QUEUE_OF_DEAD,               /* such a dead-letter queue itself */
};

/* What a queue of this name and stated type is created as. One that its rule has dead-lettered
 * elsewhere gets no dead-letter queue of herald's. */
enum queue_form ask_queue_form(const char *name, enum queue_type type, const struct arguments *a);

/* `a`: those of its rule, which go before herald's; of no meaning for a dead-letter queue. */
int ask_queue(struct link *l, uint16_t channel, const char *name, enum queue_form form,
              const struct arguments *a, struct err *err);

int ask_binding(struct link *l, uint16_t channel, const char *exchange, const char *queue,
                const char *routing_key, const struct arguments *a, struct err *err);
/* The same for an exchange that takes from another one. */
int ask_exchange_binding(struct link *l, uint16_t channel, const char *from, const char *to,
                         const char *routing_key, const struct arguments *a, struct err *err);

/* An argument as AMQP has it; lent by `a`. */
amqp_table_entry_t channel_argument(const struct argument *a);

/* Whether a queue can be consumed: a consumer that takes one message at most. */
int ask_consumer(struct link *l, uint16_t channel, const char *queue, struct err *err);

/* Ends the consumer of ask_consumer. What it got goes back, and is not counted as returned where
 * the broker makes that difference. */
int ask_no_more(struct link *l, uint16_t channel, struct err *err);
int ask_back(struct link *l, uint16_t channel, uint64_t tag, struct err *err);

#endif
