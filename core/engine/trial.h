/*
 * trial - the next generation on messages of the past, before it is taken
 *
 * Runs both generations over the last messages that were handled or became dead letters,
 * in one store transaction that is rolled back: nothing of it stays, nobody hears of it.
 * Both see the store as it is now, so what differs is what the rules do differently.
 */
#ifndef HERALD_ENGINE_TRIAL_H
#define HERALD_ENGINE_TRIAL_H

#include "base/buf.h"
#include "engine/turn.h"

/* Between two turns. The last `n` messages, the newest first. Appends lines, fields with
 * tabs between them, tabs and line ends in texts as \t and \n:
 *
 *   trial <run> <differing> <left out for want of time or room>
 *   differs <message id> <queue> <type> <order type>
 *   now|next outcome <done|failed|retry|reject|unhandled> <words>
 *   now|next statement <rows changed> <SQL>
 *   now|next emit <type> <key 1> <key 2> <key 3> <body> <headers> [due_at=<ms>] [key <key>]
 *   now|next cancel <key>
 *   now|next cut <words>
 *
 * Lines of code in words and what Lua holds in memory are not compared. The scripts' clock
 * stands still, and their states are rebuilt at the end. ERR_BUSY: another process writes to
 * the store; or the store's trouble, or memory. */
int trial_run(struct turn *t, struct script **now, struct script **next, size_t n,
              struct buf *answer, struct err *err);

#endif
