/*
 * service - what the service manager is told of the router (base/notify.h)
 *
 *   STARTING --ready--> READY <--reloaded-- --reloading--> RELOADING
 *                         '--stopping--> STOPPING
 *
 * Ready: the store is open, rules are in force, commands are answered. A broker that is away does
 * not matter, since nothing would be better after a restart. What found no room on its way is told
 * again by a timer, which also tells a line with figures where they have changed.
 */
#ifndef HERALD_FACE_SERVICE_H
#define HERALD_FACE_SERVICE_H

#include "base/err.h"
#include "base/log.h"
#include "base/notify.h"

#include <uv.h>

enum { SERVICE_LINE_MAX = 400 };

struct service;

/* Writes the line with figures into `out`. */
typedef void service_line_fn(void *arg, char out[SERVICE_LINE_MAX]);

/* `notify` is lent for life; where it is NULL, so is *out, and all the others do nothing. */
int service_new(struct service **out, uv_loop_t *loop, const struct notify *notify,
                service_line_fn *line, void *arg, struct err *err);

void service_ready(struct service *s);
void service_reloading(struct service *s); /* service_ready() is its end */

/* It ends within so long. */
void service_stopping(struct service *s, int64_t within_ms);

/* Frees it once the loop has closed its timer; NULL is fine. */
void service_stop(struct service **s);

#endif
