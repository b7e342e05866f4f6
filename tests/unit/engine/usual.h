/* usual - settings for tests that care for few of them. */
#ifndef HERALD_TESTS_USUAL_H
#define HERALD_TESTS_USUAL_H

#include "base/settings.h"

/* The embedded broker, handlers of 2 s, ids for a week, no history; retries as by default. There is
 * no store yet. */
struct settings usual_settings(void);

#endif
