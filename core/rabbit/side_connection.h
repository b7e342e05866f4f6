/*
 * side_connection - connections of their own for declarations that go unanswered (declare.h)
 *
 *            side_connections_step, up to SIDE_CONNECTIONS_MAX        the link is up
 *   (free) ----------------------------> CONNECTING ------------> ASKING
 *      ^                                     |                      | answered, down, or late
 *      |              closed                 |                      v
 *      '------------------------------------ CLOSING <--------------'
 *
 * Whatever the broker does to such a connection, it does it to one item.
 */
#ifndef HERALD_RABBIT_SIDE_CONNECTION_H
#define HERALD_RABBIT_SIDE_CONNECTION_H

#include "rabbit/declare.h"
#include "wire/link.h"

enum { SIDE_CONNECTIONS_MAX = 4 };

struct side_connections;

struct side_connections_settings {
    struct link_settings link;  /* of each connection; " alone" is added to the name */
    struct declare *declare;    /* lent for life */
    void (*opened)(void *arg);  /* one is there, and closes one day */
    void (*closed)(void *arg);  /* from the loop */
    void (*stirred)(void *arg); /* an item has moved: step its declare's other users */
    void *arg;                  /* of them */
};

/* The settings are copied, and what they lend is lent for life. NULL when out of memory. */
struct side_connections *side_connections_new(const struct side_connections_settings *settings);
void side_connections_free(struct side_connections **a); /* once all are closed; NULL is fine */

/* Opens what is due, and closes what is done. */
void side_connections_step(struct side_connections *a);
int64_t side_connections_due(const struct side_connections *a); /* monotonic; INT64_MAX: never */

/* Closes all, for good. */
void side_connections_close(struct side_connections *a);

#endif
