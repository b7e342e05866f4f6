/*
 * exchanges - of which kind each exchange was said to be, and where
 *
 * A broker has one exchange of a name, of one kind: of two declarations that differ, one is
 * refused for as long as the other stands.
 */
#ifndef HERALD_SCRIPT_EXCHANGES_H
#define HERALD_SCRIPT_EXCHANGES_H

#include "base/topology.h"
#include "script/lookup.h"

struct exchange;

/* All zero: empty. */
struct exchanges {
    struct exchange *list; /* owned */
    size_t room;           /* allocated */
    struct lookup at;
};

/* Adds those of a declaration, whose strings it lends for life. ERR_CONFIG names both places. */
int exchanges_add(struct exchanges *x, const struct destination *list, size_t n, const char *origin,
                  struct err *err);
void exchanges_free(struct exchanges *x);

#endif
