/*
 * letter_replay - what people do with dead letters: replay, drop
 *
 *   dead letter --replay--> side inbox: a retry that is due now (inbox: WAITING)
 *        |                  side outbox: an outbox row
 *        `------drop------> gone (inbox: DONE, so a redelivery is still known)
 *
 * Both are a pick_fn, so they run in bounded batches, each a transaction: a letter is
 * replayed once, whoever asks and however often. They work beside a running router, which
 * takes the retry or the row as any other.
 */
#ifndef HERALD_STORE_LETTER_REPLAY_H
#define HERALD_STORE_LETTER_REPLAY_H

#include "store/letter.h"
#include "store/pick.h"

/* Keeps message, message id, error and what the tries came to; attempts begin anew. */
pick_fn letter_replay;
pick_fn letter_drop;

/* Replays one of side inbox as the retry `row` that it was before it died, in its old place in
 * its lane; 0: it was none. */
int letter_recall(struct db *db, int64_t id, int64_t row, int64_t now_ms, struct picked *done,
                  struct err *err);

#endif
