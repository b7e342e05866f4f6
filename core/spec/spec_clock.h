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

struct spec_clock;

/* Registers one with a name of its own. The clock's arg is lent for life. */
int spec_clock_new(struct spec_clock **out, struct clock clock, struct err *err);

/* After every store that uses it is closed; NULL is fine. */
void spec_clock_free(struct spec_clock **v);

/* For db_settings.vfs; lent. */
const char *spec_clock_name(const struct spec_clock *v);

#endif
