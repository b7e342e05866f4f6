/*
 * embedded - the driver of broker.h that needs no server
 *
 * Exchanges, bindings, queues and their messages are rows of the store (store/queue.h),
 * so a publish, its confirm and an ack are part of the turn's own transaction. One
 * store, one router.
 */
#ifndef HERALD_BROKER_EMBEDDED_H
#define HERALD_BROKER_EMBEDDED_H

#include "broker/broker.h"
#include "store/sqlite/db.h"

/* `db` is lent for life. Freed by its ops->free. */
int embedded_new(struct broker **b, struct db *db, broker_wake_fn *wake, void *wake_arg,
                 struct err *err);

#endif
