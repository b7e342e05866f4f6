/*
 * notify - words to the service manager: one datagram each to $NOTIFY_SOCKET (man sd_notify)
 *
 * Nothing waits for who reads them. Any thread may send.
 */
#ifndef HERALD_BASE_NOTIFY_H
#define HERALD_BASE_NOTIFY_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct notify;

/* From $NOTIFY_SOCKET and $WATCHDOG_USEC, which are taken out of the environment: they are for
 * nobody else. *out is NULL where nobody wants to be told. ERR_CONFIG with words, and NULL: the
 * socket cannot be one. Before there are other threads. */
int notify_open(struct notify **out, struct err *err);
void notify_close(struct notify **n);

/* How long the manager waits for a word of the watchdog; 0: it wants none, or there is nobody. */
int64_t notify_watchdog_ms(const struct notify *n);

/* Lines such as "READY=1\nSTATUS=...". False: it has not gone out (a full queue, no reader); the
 * caller may try again. `n` may be NULL: there is nobody, and so nothing to try again. */
bool notify_send(const struct notify *n, const char *lines);

#endif
