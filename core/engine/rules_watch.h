/*
 * rules_watch - tells when somebody changed the rules' files
 *
 * Folders are watched, not files: editors rename over, make temporary files, and delete
 * first. After the last event it waits a moment, so that many changes are told as one.
 * What changed is not told: the files are read anew, and their hash decides. A folder
 * that is removed and made again is found by a slow look.
 */
#ifndef HERALD_ENGINE_RULES_WATCH_H
#define HERALD_ENGINE_RULES_WATCH_H

#include "base/err.h"
#include "base/log.h"

#include <stddef.h>
#include <uv.h>

struct rules_watch;

typedef void rules_watch_fn(void *arg);

/* Watches rules/ and lib/ (and what is below lib/) of each folder. The paths are copied.
 * A machine that cannot watch any more is a warning in the log, not an error: a reload can
 * still be asked for. */
int rules_watch_start(struct rules_watch **out, uv_loop_t *loop, struct log *log,
                      const char *const *folders, size_t n, rules_watch_fn *fn, void *arg,
                      struct err *err);

/* `fn` is not called any more; the memory goes with the loop's next rounds. NULL is fine. */
void rules_watch_stop(struct rules_watch **out);

#endif
