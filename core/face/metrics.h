/*
 * metrics - what a router does, as Prometheus reads it (text format 0.0.4)
 *
 * docs/metrics.md names all of them. Labels are words of the program and queues of the rules,
 * never anything out of a message.
 */
#ifndef HERALD_FACE_METRICS_H
#define HERALD_FACE_METRICS_H

#include "base/buf.h"
#include "engine/engine.h"

/* From memory: what the engine knows of itself, and the process. */
void metrics_of_engine(struct buf *b, const struct engine_status *s, size_t paused,
                       int64_t log_lines_dropped);
void metrics_of_process(struct buf *b, const char *store);

/* Of the store, as it was found at `now_ms`. Queues come between begin and end. */
void metrics_of_store(struct buf *b, const struct engine_backlog *backlog, int64_t now_ms);

/* Retries of the queues of the rules, once for each family of numbers. */
enum metrics_queue { METRICS_RETRIES, METRICS_RETRIES_LATE, METRICS_QUEUES };
void metrics_begin_queues(struct buf *b, enum metrics_queue which);
void metrics_of_queue(struct buf *b, enum metrics_queue which, const struct waiting_queue *q,
                      int64_t now_ms);

#endif
