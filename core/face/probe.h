/*
 * probe - whether a router lives and is ready, and its metrics, over HTTP (setting `probe`)
 *
 *   /live      200: the loop turns
 *   /startup   503 until the store and the rules are loaded; a broker that is away is no matter
 *   /ready     200, or 503 with what is the matter, a line each
 *   /metrics   metrics.h
 *
 * For kubelet and Prometheus: without a token, and without a word of any message.
 */
#ifndef HERALD_FACE_PROBE_H
#define HERALD_FACE_PROBE_H

#include "engine/engine.h"

struct probe;

struct probe_settings {
    uv_loop_t *loop;
    const char *address; /* http_server.h */
    const char *store;   /* its path; as all here lent for life */
    struct log *log;
};

/* ERR_CONFIG: nothing can listen there. */
int probe_start(struct probe **out, const struct probe_settings *s, struct err *err);

/* The engine runs, and can be asked until probe_stop. NULL is fine, as below: there is no probe. */
void probe_watch(struct probe *p, struct engine *engine);

/* Before the engine is freed. The memory goes once the loop has closed its handles. */
void probe_stop(struct probe **p);

#endif
