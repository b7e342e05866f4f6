/*
 * rows - what people do with rows of the outbox and with retries
 *
 *   outbox   fresh --> in flight --> postponed --> ... --> sent, or a dead letter
 *            now: a postponed row is due at once; drop: gone
 *   retry    now: due at once; drop: gone, its inbox row DONE
 *
 * What is done is a pick_fn (pick.h). All of it works beside a running router.
 */
#ifndef HERALD_STORE_ROWS_H
#define HERALD_STORE_ROWS_H

#include "store/pick.h"

pick_fn retry_now;
pick_fn retry_drop;
pick_fn outbox_now;
pick_fn outbox_drop;

#endif
