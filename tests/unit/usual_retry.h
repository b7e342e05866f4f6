/* usual_retry - the retry policy that herald.lua gives when it says nothing (docs/settings.md). */
#ifndef HERALD_TESTS_USUAL_RETRY_H
#define HERALD_TESTS_USUAL_RETRY_H

#include "base/topology.h"

static const struct retry_policy usual_retry = {.attempts = 10,
                                                .n_delays = 1,
                                                .delay_ms = {1000},
                                                .factor = 2,
                                                .delay_max_ms = 3600000,
                                                .jitter = 0.1};

#endif
