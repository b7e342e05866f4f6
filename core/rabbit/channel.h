/*
 * channel - the few methods that every AMQP channel needs, and the broker's words
 *
 * A channel that its peer closes must be answered with close-ok; after that its
 * number is free for a new channel. (AMQP 0-9-1, 1.5.2)
 */
#ifndef HERALD_RABBIT_CHANNEL_H
#define HERALD_RABBIT_CHANNEL_H

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

#endif
