/*
 * probe - health and metrics alone, over HTTP (setting `probe`)
 *
 * For kubelet and Prometheus: without a token, and without a word of any message (health.h).
 */
#ifndef HERALD_FACE_PROBE_H
#define HERALD_FACE_PROBE_H

#include "face/health.h"

struct probe;

struct probe_settings {
    uv_loop_t *loop;
    const char *address;   /* http_address.h; as all here lent for life */
    struct health *health; /* what it tells */
    struct log *log;
};

/* ERR_CONFIG: nothing can listen there. */
int probe_start(struct probe **out, const struct probe_settings *s, struct err *err);

/* Before the health is stopped. NULL is fine. */
void probe_stop(struct probe **out);

#endif
