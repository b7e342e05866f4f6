/*
 * settlements - what became of published rows, in the order in which it was heard
 *
 *            settlements_add            settlements_lend
 *   (none) -----------------> WAITING -------------------> LENT
 *                                ^                          |  |
 *                                |    settlements_forget    |  | settlements_tell
 *                                '--------------------------'  v
 *                                                            (gone)
 *
 * A turn lends, writes them into its transaction, and then tells or forgets. What
 * was forgotten is lent again, the same and in the same order.
 */
#ifndef HERALD_RABBIT_SETTLEMENTS_H
#define HERALD_RABBIT_SETTLEMENTS_H

#include "broker/broker.h"
#include "rabbit/reason.h"

struct settlements;

/* Room for `capacity` rows; the owner never adds more. NULL when out of memory. */
struct settlements *settlements_new(size_t capacity);
void settlements_free(struct settlements **s); /* NULL is fine */

/* Adds an outcome. `why` is taken over; NULL for those that need no words. */
void settlements_add(struct settlements *s, int64_t row, enum publish_outcome outcome,
                     struct reason *why);

/* Fills out[0..n) with the oldest that are not lent yet and returns n <= max. */
size_t settlements_lend(struct settlements *s, struct settlement *out, size_t max);

void settlements_tell(struct settlements *s);
void settlements_forget(struct settlements *s);

size_t settlements_count(const struct settlements *s);   /* waiting and lent */
size_t settlements_waiting(const struct settlements *s); /* not lent */

#endif
