/*
 * commit_notice - notices that another process committed
 *
 * inotify on the WAL is the hint (libuv's fs event), PRAGMA data_version the truth,
 * a slow poll the fallback (docs/field-notes.md#noticing-commits).
 */
#ifndef HERALD_STORE_SQLITE_COMMIT_NOTICE_H
#define HERALD_STORE_SQLITE_COMMIT_NOTICE_H

#include "store/sqlite/db.h"

#include <uv.h>

struct commit_notice;
typedef void commit_notice_fn(void *arg); /* another process committed */

int commit_notice_start(struct commit_notice **out, struct db *db, uv_loop_t *loop, int64_t poll_ms,
                        commit_notice_fn *fn, void *arg, struct err *err);
/* Closes the handles and frees *w from the loop later. */
void commit_notice_stop(struct commit_notice **w);

#endif
