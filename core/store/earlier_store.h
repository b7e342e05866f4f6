/*
 * earlier_store - what a store of an earlier version knows, told before it is upgraded
 *
 * Nothing is changed, and nothing of it is needed once the router has started on the store.
 */
#ifndef HERALD_STORE_EARLIER_STORE_H
#define HERALD_STORE_EARLIER_STORE_H

#include "base/err.h"

typedef void earlier_store_queue_fn(void *arg, const char *queue); /* lent for the call */

/* Tells each queue of which messages without a message id had the id in their body as their
 * identity, whether or not the body had a messageType, as 0.1.0 did (among the last 100,000 ids). A
 * store that does not exist, or is of a version that tells them apart, has none. ERR_ codes where
 * it cannot be read. */
int earlier_store_body_ids(const char *path, earlier_store_queue_fn *fn, void *arg,
                           struct err *err);

#endif
