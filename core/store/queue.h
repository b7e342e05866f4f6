/*
 * queue - the embedded broker's exchanges, bindings, queues and their messages
 */
#ifndef HERALD_STORE_QUEUE_H
#define HERALD_STORE_QUEUE_H

#include "base/message.h"
#include "base/topology.h"
#include "store/sqlite/db.h"

/* Declaring what exists is fine; an exchange of another kind, or a headers exchange, is ERR_BROKER
 * with words. */
int queue_declare(struct db *db, const char *queue, struct err *err);
int queue_declare_exchange(struct db *db, const char *exchange, enum exchange_kind kind,
                           struct err *err);
int queue_bind(struct db *db, const char *queue, const struct destination *from, struct err *err);
/* Both exchanges are there. */
int queue_bind_exchange(struct db *db, const char *exchange, const struct destination *from,
                        struct err *err);

/* Puts the message into every queue that the destination reaches (AMQP's rules for
 * fanout, direct, topic with * and #, the default exchange, exchanges that take from others), once
 * per queue.
 * *n_out: how many. ERR_BROKER: no such exchange. */
int queue_publish(struct db *db, const struct destination *to, const struct message *m,
                  size_t *n_out, struct err *err);

/* Whether a message for this destination would come to any queue. */
int queue_reaches(struct db *db, const struct destination *to, bool *reaches_out, struct err *err);

struct queue_item {
    int64_t id;
    struct message message;
    struct slice exchange;
    struct slice routing_key;
};

/* Items of a queue with ids above `after`, oldest first; lent until the callback returns. */
typedef bool queue_item_fn(void *arg, const struct queue_item *item);
int queue_peek(struct db *db, const char *queue, int64_t after, size_t limit, queue_item_fn *fn,
               void *arg, struct err *err);
int queue_remove(struct db *db, int64_t id, struct err *err);

#endif
