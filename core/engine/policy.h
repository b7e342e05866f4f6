/*
 * policy - retry arithmetic, without clock or store
 */
#ifndef HERALD_ENGINE_POLICY_H
#define HERALD_ENGINE_POLICY_H

#include "base/topology.h"

#include <stdint.h>

enum { POLICY_GIVE_UP = -1 };

/* How long to wait after `attempts` failed tries (at least 1), or POLICY_GIVE_UP when
 * the policy's attempts or maximum age are used up. `age_ms`: since the first try.
 * `chance` in [0, 1) draws the jitter, which only ever shortens a delay, so that
 * delay_max_ms is a ceiling. */
int64_t policy_delay(const struct retry_policy *p, int attempts, int64_t age_ms, double chance);

#endif
