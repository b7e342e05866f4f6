/*
 * watchdog - ends the process when a handler outlives every limit
 *
 * A Lua hook cannot stop a C function that never returns. A thread of its own can see
 * it: the engine tells when it enters and leaves what must not take long (codec and
 * handlers, not fsync, not waiting for locks), and the thread looks. When it bites, a
 * line goes to stderr and the process is aborted; the strike file names the culprit.
 *
 * The same thread tells the service manager that all is well (WATCHDOG=1) while nobody is over
 * the limit: a slow disk and a lock that is waited for are no reason to be killed. And it asks for
 * time while the store is made ready, which may take minutes.
 */
#ifndef HERALD_ENGINE_WATCHDOG_H
#define HERALD_ENGINE_WATCHDOG_H

#include "base/err.h"
#include "base/notify.h"

#include <stdbool.h>
#include <stdint.h>

struct watchdog;

/* Starts the thread. `limit_ms`: how long the engine may stay inside (real time). `notify`: lent
 * for life; NULL: nobody wants to be told. */
int watchdog_start(struct watchdog **out, int64_t limit_ms, const struct notify *notify,
                   struct err *err);
void watchdog_stop(struct watchdog **w); /* joins it; NULL is fine */

/* `what` is shown when it bites; static text. `w` may be NULL. */
void watchdog_enter(struct watchdog *w, const char *what);
void watchdog_leave(struct watchdog *w);

/* Between true and false the start takes the time that it needs. `w` may be NULL. */
void watchdog_preparing(struct watchdog *w, bool preparing);

#endif
