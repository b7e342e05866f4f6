/*
 * fake_queue - the queues behind a fake broker: what is published comes back, in the
 * worst of manners that a real broker may have
 *
 *            publish, fake_queue_add            deliver               basic.ack
 *   (none) ---------------------------> READY ----------> UNACKED --------------> GONE
 *                                         ^                  |
 *                                         '------------------'
 *                            its channel or connection went away
 *
 * One fanout exchange leads to all queues; what goes to other exchanges is confirmed and
 * forgotten. It takes the fake broker's hooks and answers its publishes itself.
 */
#ifndef HERALD_TESTS_FAKE_QUEUE_H
#define HERALD_TESTS_FAKE_QUEUE_H

#include "fake_broker.h"

enum { FAKE_QUEUES = 4, FAKE_MESSAGES = 16384, FAKE_HELD = 64 };

enum fake_message_state { FAKE_READY, FAKE_UNACKED, FAKE_GONE };

struct fake_message {
    char id[64], type[32], body[512];
    size_t queue;
    enum fake_message_state state;
    struct fake_conn *on; /* UNACKED: where */
    uint16_t channel;     /* likewise */
    uint64_t tag;         /* likewise */
    int deliveries;       /* so far */
};

struct fake_consumer {
    struct fake_conn *on; /* NULL: free place */
    uint16_t channel;
    size_t queue;
    uint64_t tag;   /* last one */
    bool cancelled; /* by the broker: the channel lives, nothing comes any more */
    bool closed;    /* the broker closed the channel and awaits close-ok */
};

struct fake_answer {
    struct fake_conn *on;
    uint16_t channel;
    uint64_t tag;
    bool positive;
};

struct fake_queue {
    struct fake_broker *broker;
    const char *exchange;
    const char *names[FAKE_QUEUES];
    size_t n_names;
    struct fake_message *messages; /* FAKE_MESSAGES */
    size_t n_messages;
    struct fake_consumer consumers[FAKE_QUEUES * 2];
    struct fake_answer held[FAKE_HELD]; /* confirms that are still to be said */
    size_t n_held;
    uint64_t dice;

    /* Manners, of 100; may be changed at any time. */
    unsigned hold;      /* a confirm is held back, and said later among others in any order */
    unsigned refuse;    /* a publish is nacked; half of them are in the queue all the same */
    unsigned give_back; /* a publish is returned, then acked */
    unsigned twice;     /* a delivery comes twice, the second with a tag of its own */
    bool shuffle;       /* what waits is delivered in any order */

    /* Called before a message is GONE; may be NULL. */
    void (*acked)(void *arg, const struct fake_message *m);
    void *arg;
};

/* `names` ends in NULL. */
struct fake_queue *fake_queue_new(struct fake_broker *b, const char *exchange,
                                  const char *const *names, uint64_t seed);
void fake_queue_free(struct fake_queue **q);

/* A message of somebody else for one queue. */
void fake_queue_add(struct fake_queue *q, size_t queue, const char *id, const char *type,
                    const char *body);

/* Says all confirms that are held back, in any order, some of them as multiples. */
void fake_queue_confess(struct fake_queue *q);

/* The broker ends a queue's consumer (basic.cancel), or its channel, if there is one. */
void fake_queue_cancel(struct fake_queue *q, size_t queue);
void fake_queue_close(struct fake_queue *q, size_t queue);

size_t fake_queue_left(const struct fake_queue *q); /* messages that are not GONE */

unsigned fake_dice(uint64_t *seed, unsigned n); /* below n; the same ones for a seed */

#endif
