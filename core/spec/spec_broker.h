/*
 * spec_broker - a broker in front of the embedded one that notes and that fails as told
 *
 * For specs: every publish is noted, and a fault can be laid in the way of the next one.
 * All else is the broker's behind it.
 */
#ifndef HERALD_SPEC_SPEC_BROKER_H
#define HERALD_SPEC_SPEC_BROKER_H

#include "broker/broker.h"

struct spec_broker;

/* What was published, confirmed or not; lent until the next publish. */
struct spec_publish {
    struct destination to; /* strings are this broker's */
    struct message message;
    struct arena texts; /* holds them */
};

/* What happens to the next publish of a type, once. */
enum spec_fault { SPEC_FAULT_NACK, SPEC_FAULT_RETURN, SPEC_FAULT_TIME_OUT };

/* `inner` is owned from now on. `loopback` false: what is published goes nowhere, and is
 * confirmed. NULL when out of memory (inner is freed). */
struct broker *spec_broker_new(struct broker *inner, bool loopback);

/* OK or ERR_LIMIT when too many faults wait. */
int spec_broker_fail_next(struct broker *b, const char *type, enum spec_fault fault,
                          struct err *err);

/* The deliveries of the next turn that has some are not taken off their queues, as when acks
 * are lost: they come again. Ends with that turn. */
void spec_broker_lose_acks(struct broker *b);

/* The next delivery that is accepted fails its turn, as if the process had died before
 * the commit. Once. */
void spec_broker_crash(struct broker *b);
bool spec_broker_crashed(struct broker *b); /* it has happened; asks and forgets */

/* Takes over what `former`, one that is about to go, has noted and what faults
 * wait there: the process dies, the spec goes on. */
void spec_broker_inherit(struct broker *b, struct broker *former);

/* What was published, oldest first; NULL beyond the last. */
const struct spec_publish *spec_broker_published(struct broker *b, size_t i);

#endif
