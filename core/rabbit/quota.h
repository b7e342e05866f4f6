/*
 * quota - how much of the window each outlet may have
 *
 * An outlet is where rows go: an exchange, or one queue behind the default exchange. One that does
 * not confirm must not take the window from the others, so an outlet starts with few rows, has
 * most of the window while its confirms come, and waits when they do not.
 *
 *           a confirm                       a second without one
 *   FIRST ------------> PROVEN ----------------------------------> FIRST
 *     |                   |
 *     | a confirm is overdue
 *     v                   v          any answer
 *   SILENT --- one row, as a probe, after a pause that doubles ---> FIRST, PROVEN
 *
 *   FIRST    up to FIRST_ROWS: a queue of RabbitMQ that takes nothing makes a channel hold back
 *            its connection from 32 rows on, and with it all other channels
 *   PROVEN   up to seven times what is left for the others
 *   SILENT   a state with a reason, told once
 */
#ifndef HERALD_RABBIT_QUOTA_H
#define HERALD_RABBIT_QUOTA_H

#include "base/clock.h"
#include "base/log.h"
#include "base/topology.h"
#include "broker/broker.h"

struct quotas;
struct quota;

/* For a window of so many rows; `log` is lent for life. NULL when out of memory. */
struct quotas *quotas_new(size_t window, struct clock clock, struct log *log);
void quotas_free(struct quotas **q); /* NULL is fine */

/* Rows that have left for the broker, or are about to. */
size_t quotas_taken(const struct quotas *q);

/* The quota of a destination's outlet, lent as long as it has rows. Those that are too many, or
 * that there is no memory for, share one. */
struct quota *quota_of(struct quotas *q, const struct destination *to);

/* Whether one more row may go to it. `now`, here and below: monotonic, read by the caller once for
 * many rows. */
bool quota_has_room(const struct quotas *q, const struct quota *o, int64_t now);

/* A row goes to it; every one of them ends with an outcome, or was not sent. */
void quota_take(struct quotas *q, struct quota *o);
void quota_settle(struct quotas *q, struct quota *o, enum publish_outcome outcome, int64_t now);

/* When a probe is due next, monotonic; INT64_MAX: never. quotas_step notes which were due, so that
 * each is told once. */
int64_t quotas_due(const struct quotas *q);
void quotas_step(struct quotas *q);

/* The link is up again: who was silent is probed at once. */
void quotas_hasten(struct quotas *q);

/* The first outlet that is silent, in words, lent until the next call; NULL: none is. */
const char *quotas_trouble(struct quotas *q);

#endif
