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

/* Between two turns. The last `n` messages, the newest first. Appends lines of JSON:
 *
 *   {"trial":{"run":2,"differing":1,"left_out":0}}        for want of time or room
 *   {"differs":{"message_id":...,"queue":...,"type":...,"order_type":...,"now":[...],"next":[...]}}
 *
 * with what each generation did, {"what":...,"detail":[...]}:
 *
 *   outcome     done, failed, retry, reject or unhandled; words
 *   statement   rows changed; SQL
 *   emit        type, three keys, body, headers; due_at=<ms> where it has a time; "key", its key
 *   cancel      key
 *   cut         words
 *
 * Lines of code in words and what Lua holds in memory are not compared. The scripts' clock
 * stands still, and their states are rebuilt at the end. ERR_BUSY: another process writes to
 * the store; or the store's trouble, or memory. */
int trial_run(struct turn *t, struct script **now, struct script **next, size_t n,
              struct buf *answer, struct err *err);

#endif
