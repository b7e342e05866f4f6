/*
 * log_limit - the same line again and again is written a few times a second
 *
 * Lines are the same when they have one kind: the event, what it is about (queue, exchange, type,
 * ...) and the group of its error. LOG_LIMIT_BURST of a kind pass in a second; the others are
 * counted, and the count is told once the second is over.
 */
#ifndef HERALD_BASE_LOG_LIMIT_H
#define HERALD_BASE_LOG_LIMIT_H

#include "base/log_line.h"

#include <stdbool.h>

enum { LOG_LIMIT_BURST = 5, LOG_LIMIT_MS = 1000, LOG_LIMIT_ABOUT = 256 };

struct log_kind {
    uint64_t hash; /* of all that makes the kind; 0: such lines always pass */
    enum log_level level;
    char event[48];
    char about[LOG_LIMIT_ABOUT]; /* what the event is about, in words: "queue=orders, ..." */
};

/* The kind of an event. */
void log_kind_of(struct log_kind *kind, enum log_level level, const char *event,
                 const struct log_field *fields);

struct log_limit;

/* Told how many lines of a kind were left out. */
typedef void log_left_out_fn(void *arg, const struct log_kind *kind, int64_t lines);

/* NULL when out of memory. `fn` is called from within the functions below. */
struct log_limit *log_limit_new(log_left_out_fn *fn, void *arg);

/* Tells what is left to tell first. */
void log_limit_free(struct log_limit **limit);

/* Whether a line of this kind is written; false: it is counted. */
bool log_limit_pass(struct log_limit *limit, const struct log_kind *kind, int64_t mono_ms);

/* Tells what was left out in seconds that are over. */
void log_limit_tell(struct log_limit *limit, int64_t mono_ms);

#endif
