/*
 * failpoint - places where a build for tests can be told to fail
 *
 *   HERALD_FAIL=name:nth:action[,name:nth:action...]
 *
 * At the nth time that the run passes the place `name`: kill ends the process as kill -9
 * does, segv by a bad write, eio and enospc make the place answer as if the disk had, delay
 * waits 300 ms.
 * Only a build with -DHERALD_FAILPOINTS=ON looks; in any other each place is nothing.
 * core/README.md lists the places.
 */
#ifndef HERALD_BASE_FAILPOINT_H
#define HERALD_BASE_FAILPOINT_H

#include <stdbool.h>

enum failpoint { FAILPOINT_PASS, FAILPOINT_EIO, FAILPOINT_ENOSPC };

#ifdef HERALD_FAILPOINTS
/* Passes the place. */
enum failpoint failpoint(const char *name);

/* Whether the next pass acts: for what must have been done halfway by then. */
bool failpoint_is_next(const char *name);
#else
static inline enum failpoint failpoint(const char *name)
{
    (void)name;
    return FAILPOINT_PASS;
}

static inline bool failpoint_is_next(const char *name)
{
    (void)name;
    return false;
}
#endif

#endif
