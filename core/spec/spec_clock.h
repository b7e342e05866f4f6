/*
 * spec_clock - a file system for SQLite whose clock is ours
 *
 * datetime('now') and its sisters ask the file system for the time. For specs: everything
 * but the clock is the default one's.
 */
#ifndef HERALD_SPEC_SPEC_CLOCK_H
#define HERALD_SPEC_SPEC_CLOCK_H

#include "base/clock.h"
#include "base/err.h"

struct virtual_time;

/* Registers one with a name of its own. The clock's arg is lent for life. */
int virtual_time_new(struct virtual_time **out, struct clock clock, struct err *err);

/* After every store that uses it is closed; NULL is fine. */
void virtual_time_free(struct virtual_time **v);

/* For db_settings.vfs; lent. */
const char *virtual_time_name(const struct virtual_time *v);

#endif
