/*
 * queue_probe - what an existing queue is, asked of a broker that does not say so
 *
 * A passive declaration tells that a queue is there, not what it is. An active one of a queue that
 * exists changes nothing: the broker compares it and refuses it, 406, with the first thing that
 * is otherwise and its current value. So the queue is declared with what is known, and with one
 * argument more that no queue can have, until that one is the only difference. The same argument
 * makes sure that nothing is created where the queue has gone meanwhile.
 *
 *   TYPE   x-queue-type = "none", compared after most others
 *   LIMIT  of a quorum queue: x-delivery-limit = "none", and x-max-priority, which such a queue
 *          cannot be created with and is not compared by
 */
#ifndef HERALD_RABBIT_QUEUE_PROBE_H
#define HERALD_RABBIT_QUEUE_PROBE_H

#include "base/arguments.h"
#include "wire/link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QUEUE_PROBE_ARGUMENTS_MAX = 16 + ARGUMENTS_MAX, QUEUE_PROBE_TEXT_MAX = 256 };

/* An argument that the queue was found to have, or one of its rule that nothing was said against.
 */
struct queue_probe_argument {
    char name[40];
    enum argument_kind kind;
    char text[QUEUE_PROBE_TEXT_MAX]; /* the value in words */
    int64_t number;                  /* of an integer, or a flag */
    bool stated;                     /* not compared yet, as far as is known */
};

struct queue_probe {
    const char *queue; /* lent */
    char type[16];     /* "classic", "quorum", "stream"; "": not known */
    bool transient;    /* gone when its broker stops */
    bool auto_delete;  /* gone when nobody consumes it any more */
    struct queue_probe_argument arguments[QUEUE_PROBE_ARGUMENTS_MAX];
    size_t n_arguments;
    int64_t limit;     /* of deliveries; -1: none is declared, or it is not known */
    bool asking_limit; /* LIMIT, else TYPE */
};

void queue_probe_begin(struct queue_probe *p, const char *queue);

/* Before it is asked: what a rule says of it, so that the broker tells what differs. In the end
 * those that it does not have are gone from the list, and those that are otherwise have their
 * value; what a broker does not compare stays. */
void queue_probe_state(struct queue_probe *p, const struct arguments *a);

/* Whether it differs from what was stated, when no more can be known. */
bool queue_probe_differs(const struct queue_probe *p, const struct argument *a);

/* Sends the next declaration. OK or the link's code. */
int queue_probe_ask(const struct queue_probe *p, struct link *l, uint16_t channel, struct err *err);

/* It was refused with this text, as channel_why gives it. True: ask again, on another channel;
 * false: no more can be known. */
bool queue_probe_hear(struct queue_probe *p, const char *text);

/* An argument that it was found to have, or NULL. */
const struct queue_probe_argument *queue_probe_find(const struct queue_probe *p, const char *name);

#endif
