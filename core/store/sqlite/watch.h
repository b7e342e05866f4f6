/*
 * watch - notices that another process committed
 *
 * inotify on the WAL is the hint (libuv's fs event), PRAGMA data_version the truth,
 * a slow poll the fallback (docs/field-notes.md#noticing-commits).
 */
#ifndef HERALD_STORE_SQLITE_WATCH_H
#define HERALD_STORE_SQLITE_WATCH_H

#include "store/sqlite/db.h"

#include <uv.h>

struct watch;
typedef void watch_fn(void *arg); /* another process committed */

int watch_start(struct watch **w, struct db *db, uv_loop_t *loop, int64_t poll_ms, watch_fn *fn,
                void *arg, struct err *err);
/* Closes the handles and frees *w from the loop later. */
void watch_stop(struct watch **w);

#endif
