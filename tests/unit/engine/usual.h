/* usual - settings for tests that care for few of them, and calls that succeed */
#ifndef HERALD_TESTS_USUAL_H
#define HERALD_TESTS_USUAL_H

#include "base/err.h"
#include "base/settings.h"

/* The embedded broker, handlers of 2 s, ids for a week, no history; retries as by default. There is
 * no store yet. */
struct settings usual_settings(void);

/* Fails the test with the words of a call that failed. */
void require_ok(int rc, const struct err *err);

#endif
