/*
 * span - what happened to a message, for OpenTelemetry: a span as a JSON object of OTLP
 *
 *   create   a message got its trace         send      it was published, until the broker's word
 *   process  its handler was called          settle    it was acknowledged, once that was committed
 *
 * The words are those of OpenTelemetry's conventions for messaging (semantic-conventions 1.40),
 * which are not stable: all of them stand in span.c.
 */
#ifndef HERALD_BASE_SPAN_H
#define HERALD_BASE_SPAN_H

#include "base/buf.h"
#include "base/text.h"
#include "base/trace_context.h"

#include <stdint.h>

enum span_operation { SPAN_CREATE, SPAN_SEND, SPAN_PROCESS, SPAN_SETTLE, SPAN_OPERATIONS };

/* Lent for the call; what is absent or 0 is left out. Times in microseconds since 1970 UTC. */
struct span {
    enum span_operation operation;
    const struct trace_context *context; /* of the trace; its span is the parent */
    bool root;                           /* it has no parent */
    const char *id;                      /* 16 hexadecimal digits */
    const char *system;                  /* "rabbitmq" */
    struct slice exchange;
    struct slice routing_key;
    struct slice queue;
    struct slice message_id;
    struct slice type;
    size_t body;
    int attempt;
    int64_t generation;
    int64_t start_us;
};

/* Appends a span up to its end, and then that. `error` NULL: all went well. */
void span_begin(struct buf *b, const struct span *s);
void span_end(struct buf *b, int64_t end_us, const char *error);

/* Around the spans of one request, with commas between: a line. */
void span_open_request(struct buf *b, const char *service);
void span_close_request(struct buf *b);

#endif
