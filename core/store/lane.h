/*
 * lane - order per key: while one message waits, later ones of its lane wait behind it
 *
 *   lane of a queue        first row of herald_retry: waits for its time, or is being handled
 *                          rows behind it: no time (LANE_BEHIND) until it leaves
 *                          or a dead letter that holds the lane (on_dead = "hold")
 *   lane of the outbox     first row: in flight, or waits for its time; the rest as above
 *
 * A lane is there as long as it has rows, so a lane without trouble costs one look-up. Who is
 * next is woken by triggers (schema.c), whoever takes the first row away. Rows keep the lane
 * that they were written with, whatever the rules say by now. Rows of the outbox get theirs when
 * they are met for the first time; a row that was released has a reason, so it stays out.
 */
#ifndef HERALD_STORE_LANE_H
#define HERALD_STORE_LANE_H

#include "base/message.h"
#include "base/topology.h"
#include "store/due.h"
#include "store/pick.h"

enum { LANE_MAX = 256, LANE_LEG_MAX = LANE_MAX + 520 };

/* The name of the lane: "business_key1=16". One too long for that is cut, and told apart by
 * a hash. Absent when order_by is 0 or the message has no such key: it is in no order. The
 * name is in `room`. */
struct slice lane_of(char room[LANE_MAX], int order_by, const struct message *m);

/* The name of a leg's lane, "business_key1=16 > exchange:key"; absent when `lane` is, or
 * is longer than LANE_MAX, which herald does not write. In `room`. */
struct slice lane_of_leg(char room[LANE_LEG_MAX], struct slice lane, const struct destination *to);

/* An outbox row takes its place in a lane: as the first it is due at once, else it waits behind it.
 */
int lane_join(struct db *db, int64_t row, struct slice lane, struct err *err);

/* Whether outbox rows are in this lane. */
int lane_has_rows(struct db *db, struct slice lane, bool *out, struct err *err);

/* Whether a message that comes now must wait: the lane has a first row, or a dead letter with
 * an id below `letter` holds it. */
int lane_is_busy(struct db *db, struct slice queue, struct slice lane, int64_t letter, bool *out,
                 struct err *err);

/* The head goes its own way, in no order, and the next one is woken. What is
 * not there, or heads no lane, is not changed. */
pick_fn lane_release_retry;
pick_fn lane_release_letter;
pick_fn lane_release_row;

#endif
