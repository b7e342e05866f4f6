/*
 * digest - 64 bits over what a rule declares, for script_changes
 *
 * Begins with TEXT_HASH_START; each function mixes one more thing in. A function of the
 * rules counts by its lines as they stand in its file, so that one that only moved is the
 * same.
 */
#ifndef HERALD_SCRIPT_DIGEST_H
#define HERALD_SCRIPT_DIGEST_H

#include "base/topology.h"

#include <lua.h>
#include <stdint.h>

uint64_t digest_text(uint64_t hash, const char *text); /* NULL: an absent one */
uint64_t digest_number(uint64_t hash, int64_t number);
uint64_t digest_retry(uint64_t hash, const struct retry_policy *p);

/* Of the function at `index`, if there is one. Never raises. */
uint64_t digest_function(lua_State *L, uint64_t hash, int index);

#endif
