/*
 * health - whether a router lives and is ready, and its metrics
 *
 *   /live      200: the loop turns
 *   /startup   503 until the store and the rules are loaded; a broker that is away is no matter
 *   /ready     200, or 503 with what is the matter, a line each
 *   /metrics   metrics.h
 *
 * For kubelet and Prometheus: without a word of any message. What is asked reads memory; the store
 * is looked at every 5 s, whoever asks.
 */
#ifndef HERALD_FACE_HEALTH_H
#define HERALD_FACE_HEALTH_H

#include "engine/engine.h"
#include "http/http_server.h"

struct health;

struct health_settings {
    uv_loop_t *loop;
    const char *store; /* its path; as all here lent for life */
    struct log *log;
};

int health_new(struct health **out, const struct health_settings *s, struct err *err);

/* The engine runs, and can be asked until health_stop. NULL is fine, as below: nobody asks. */
void health_watch(struct health *h, struct engine *engine);

/* False: it is none of its paths. */
bool health_answers(const char *path);

/* Answers a GET of one of its paths. */
void health_answer(struct health *h, struct http_request *r);

/* Before the engine is freed. The memory goes once the loop has closed its timer. */
void health_stop(struct health **out);

#endif
