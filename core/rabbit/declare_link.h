/*
 * declare_link - connections of their own for declarations that go unanswered (declare.h)
 *
 *            asides_step, up to ASIDES_MAX        the link is up
 *   (free) ----------------------------> CONNECTING ------------> ASKING
 *      ^                                     |                      | answered, down, or late
 *      |              closed                 |                      v
 *      '------------------------------------ CLOSING <--------------'
 *
 * Whatever the broker does to such a connection, it does it to one item.
 */
#ifndef HERALD_RABBIT_DECLARE_LINK_H
#define HERALD_RABBIT_DECLARE_LINK_H

#include "rabbit/declare.h"
#include "wire/link.h"

enum { ASIDES_MAX = 4 };

struct asides;

struct asides_settings {
    struct link_settings link;  /* of each connection; " alone" is added to the name */
    struct declare *declare;    /* lent for life */
    void (*opened)(void *arg);  /* one is there, and closes one day */
    void (*closed)(void *arg);  /* from the loop */
    void (*stirred)(void *arg); /* an item has moved: step its declare's other users */
    void *arg;                  /* of them */
};

/* The settings are copied, and what they lend is lent for life. NULL when out of memory. */
struct asides *asides_new(const struct asides_settings *settings);
void asides_free(struct asides **a); /* once all are closed; NULL is fine */

/* Opens what is due, and closes what is done. */
void asides_step(struct asides *a);
int64_t asides_due(const struct asides *a); /* monotonic; INT64_MAX: never */

/* Closes all, for good. */
void asides_close(struct asides *a);

#endif
