/*
 * trace_context - which trace a message belongs to, as W3C Trace Context says it
 *
 *   traceparent  00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
 *                version, trace, the span that sent the message, flags
 *   tracestate   rojo=00f067aa0ba902b7,congo=t61rcWkgMzE
 *
 * Both are headers of the message. What is malformed is as if it was not there. Ids that are made
 * here are made of what names the message, so that each try, and each repeat after a crash, gives
 * the same ones.
 */
#ifndef HERALD_BASE_TRACE_CONTEXT_H
#define HERALD_BASE_TRACE_CONTEXT_H

#include "base/buf.h"
#include "base/message.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The setting trace_context: nothing is done; what a message has is carried on; one that has none
 * gets one. */
enum trace_mode { TRACE_KEEP, TRACE_MAKE, TRACE_OFF };

enum {
    TRACE_ID_LEN = 32,
    TRACE_SPAN_LEN = 16,
    TRACE_PARENT_LEN = 55,
    TRACE_STATE_MAX = 512,
    TRACE_HEADERS_MAX = 32 * 1024, /* headers that are longer get none: they must fit in a frame */
};

#define TRACE_PARENT "traceparent"
#define TRACE_STATE "tracestate"

struct trace_context {
    char trace[TRACE_ID_LEN + 1];    /* "": there is none */
    char span[TRACE_SPAN_LEN + 1];   /* who sent the message */
    unsigned flags;                  /* TRACE_SAMPLED */
    char state[TRACE_STATE_MAX + 1]; /* as it came; "": there is none */
};

enum { TRACE_SAMPLED = 1 };

static inline bool trace_context_is(const struct trace_context *c)
{
    return c->trace[0] != '\0';
}

/* Fills *out from a message's headers (JSON); false: they have none that can be read. */
bool trace_context_read(struct trace_context *out, struct slice headers);

/* Makes one for what these words name: sampled, without a state. */
void trace_context_make(struct trace_context *out, const struct slice *words, size_t n);

/* Makes the id of a span of this trace, for what these words name. */
void trace_context_make_span(char span[TRACE_SPAN_LEN + 1], const struct trace_context *c,
                             const struct slice *words, size_t n);

/* For a message of a queue, and a store: the trace of one that has none, and the span of a try. */
void trace_context_make_message(struct trace_context *out, struct slice store, struct slice queue,
                                struct slice id);
void trace_context_make_try(char span[TRACE_SPAN_LEN + 1], const struct trace_context *c,
                            struct slice store, struct slice queue, struct slice id, int attempt);

/* "00-...-01" */
void trace_context_parent(const struct trace_context *c, char out[TRACE_PARENT_LEN + 1]);

/* Writes the headers of a message with this context into an empty buffer. False: they stay as they
 * are, since their author has said one, or they are no object, or there is no room in a row or in a
 * frame; or there is no memory. */
bool trace_context_give(struct buf *out, const struct message *m, const struct trace_context *c);

#endif
