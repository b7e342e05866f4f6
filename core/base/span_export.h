/*
 * span_export - spans to a file or to a collector, in a thread of their own
 *
 *   span_export_put -> waiting (at most SPAN_EXPORT_MAX bytes) -> the thread -> the sink
 *
 * Nobody waits for it: what finds no room is dropped and counted, and so is what the sink did not
 * take in SPAN_TRIES tries. Its thread takes no signals.
 */
#ifndef HERALD_BASE_SPAN_EXPORT_H
#define HERALD_BASE_SPAN_EXPORT_H

#include "base/err.h"
#include "base/log.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { SPAN_EXPORT_MAX = 1024 * 1024, SPAN_TRIES = 5 };

/* Where requests go, each a line (span.h). Both are called by the thread. */
struct span_sink {
    /* ERR_INPUT: it will never take this one; any other code: it may later. It gives up once
     * *hurry is true. */
    int (*send)(void *arg, const char *line, size_t len, atomic_bool *hurry, struct err *err);
    void (*close)(void *arg); /* at the end */
    void *arg;
};

struct span_export;

/* Takes the sink, also when it fails: NULL, there is no memory or no thread. `service` is lent. */
struct span_export *span_export_start(const struct span_sink *sink, const char *service);

/* `n` spans with commas between. */
void span_export_put(struct span_export *e, const char *spans, size_t len, int64_t n);

/* As put, of such that could not even be written. */
void span_export_drop(struct span_export *e, int64_t n);

/* Spans that the sink took, and those that were dropped. NULL is fine: none. */
int64_t span_export_sent(struct span_export *e);
int64_t span_export_dropped(struct span_export *e);

/* Tells when the sink begins to fail, and when it takes spans again; to be called every now and
 * then. NULL is fine, as below. */
void span_export_tell(struct span_export *e, struct log *log);

/* Sends what waits, for at most `ms`, then ends the thread; a second more at most. */
void span_export_stop(struct span_export **e, int64_t ms);

/* A file that lines are appended to; made when absent. */
int span_file_open(struct span_sink *out, const char *path, struct err *err);

#endif
