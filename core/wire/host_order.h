/*
 * host_order - which host of several is tried next
 *
 * In turn, over and over. One that fails twice in a row, without having served for long in between,
 * goes to the end.
 */
#ifndef HERALD_WIRE_HOST_ORDER_H
#define HERALD_WIRE_HOST_ORDER_H

#include "wire/url.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host_order {
    size_t n;                             /* hosts */
    size_t at;                            /* the place whose host is in turn */
    unsigned char hosts[URL_HOSTS_MAX];   /* indexes of the URL's, by place */
    unsigned char strikes[URL_HOSTS_MAX]; /* failures in a row, by index */
};

/* `seed` shuffles them; 0: as they stand. */
void host_order_init(struct host_order *o, size_t n, uint64_t seed);

/* The index of the host in turn. */
size_t host_order_host(const struct host_order *o);

/* It has failed; the next one is in turn. `served`: it had worked for long before. */
void host_order_failed(struct host_order *o, bool served);

#endif
