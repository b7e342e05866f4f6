/*
 * watchdog - ends the process when a handler outlives every limit
 *
 * A Lua hook cannot stop a C function that never returns. A thread of its own can see
 * it: the engine tells when it enters and leaves what must not take long (codec and
 * handlers, not fsync, not waiting for locks), and the thread looks. When it bites, a
 * line goes to stderr and the process is aborted; the strike file names the culprit.
 */
#ifndef HERALD_ENGINE_WATCHDOG_H
#define HERALD_ENGINE_WATCHDOG_H

#include "base/err.h"

#include <stdint.h>

struct watchdog;

/* Starts the thread. `limit_ms`: how long the engine may stay inside (real time). */
int watchdog_start(struct watchdog **out, int64_t limit_ms, struct err *err);
void watchdog_stop(struct watchdog **w); /* joins it; NULL is fine */

/* `what` is shown when it bites; static text. `w` may be NULL. */
void watchdog_enter(struct watchdog *w, const char *what);
void watchdog_leave(struct watchdog *w);

#endif
