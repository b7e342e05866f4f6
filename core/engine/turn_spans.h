/*
 * turn_spans - what a turn tells of messages that belong to a trace (base/span.h), when spans are
 * on
 *
 * A span of a turn that is undone is none: what a turn has gathered goes to the exporter once it is
 * committed. Of a row that was sent a beginning is kept until the broker's word has come.
 */
#ifndef HERALD_ENGINE_TURN_SPANS_H
#define HERALD_ENGINE_TURN_SPANS_H

#include "base/span.h"
#include "base/span_export.h"
#include "base/topology.h"
#include "base/trace_context.h"
#include "broker/broker.h"
#include "store/outbox.h"

struct turn_spans;

/* `rows` may be in flight at most; the exporter and the word for the broker are lent. NULL: there
 * is no memory. All below take NULL: spans are off, and nothing is done. */
struct turn_spans *turn_spans_new(struct span_export *out, const char *system, size_t rows);
void turn_spans_free(struct turn_spans **s);

/* Microseconds since 1970; 0: spans are off. */
int64_t turn_spans_now(const struct turn_spans *s);

/* A handler was called for a message: all of the span but operation and system. `error` "": it
 * returned. */
void turn_spans_tried(struct turn_spans *s, const struct span *of, const char *error);
/* It is acknowledged once the turn is committed; `of` is about the message, and has the id of what
 * was done with it. */
void turn_spans_accepted(struct turn_spans *s, const struct span *of);

/* A trace was made for a row, whose message has it now. */
void turn_spans_made(struct turn_spans *s, const struct outbox_row *row, const struct message *m);
/* It goes to the broker; and that has said what became of it. */
void turn_spans_sent(struct turn_spans *s, const struct outbox_row *row, const struct message *m,
                     const struct destination *to);
void turn_spans_settled(struct turn_spans *s, const struct settlement *of);

/* A turn is committed and told; it was undone. */
void turn_spans_keep(struct turn_spans *s);
void turn_spans_undo(struct turn_spans *s);

#endif
