/*
 * assemble - contents put together from their frames, channel by channel
 *
 *              assemble_method          assemble_header
 *   (nothing) -----------------> HEADER -----------------> BODY --.
 *       ^                          |                        |     | assemble_body, as
 *       |                          | empty body             |     | long as bytes lack
 *       '---- assemble_done -------'------------------------'-----'
 *
 * Frames of different channels may come in between each other, those of one channel
 * may not: a method in the middle of a content is the broker's mistake, except for
 * channel.close, which takes the content with it. A body that comes in one frame is
 * lent as it is; one that is over the limit is refused before it comes, so that nobody can ack what
 * nobody keeps.
 */
#ifndef HERALD_WIRE_ASSEMBLE_H
#define HERALD_WIRE_ASSEMBLE_H

#include "base/buf.h"
#include "base/err.h"
#include "wire/frame.h"

#include <stdbool.h>
#include <stdint.h>

enum { ASSEMBLE_MAX = 256 }; /* contents that are unfinished at one time */

/* A content that is whole. Lent until assemble_done. */
struct assembled {
    struct slice method; /* payload of its method frame */
    struct slice header; /* payload of its header frame */
    struct slice body;
};

struct assembly; /* one channel's */

struct assemble {
    struct assembly *parts; /* owned; in use are those below `used` */
    size_t used;            /* unfinished contents, one a channel */
    size_t made;            /* parts that own buffers */
    size_t body_max;        /* larger bodies are refused */
};

void assemble_init(struct assemble *a, size_t body_max);
void assemble_free(struct assemble *a);

/* The connection is gone, and all that was unfinished. */
void assemble_reset(struct assemble *a);

/* A channel was closed: what it had begun never comes. */
void assemble_drop(struct assemble *a, uint16_t channel);

/* True while a content of this channel is unfinished. */
bool assemble_is_busy(const struct assemble *a, uint16_t channel);

/* The method frame that begins a content. OK, ERR_INPUT or ERR_NOMEM. */
int assemble_method(struct assemble *a, const struct frame *f, struct err *err);

/* A header or body frame. Sets *whole and fills `out` when the content is complete: use
 * it and call assemble_done. OK, ERR_INPUT or ERR_NOMEM. */
int assemble_frame(struct assemble *a, const struct frame *f, struct assembled *out, bool *whole,
                   struct err *err);

void assemble_done(struct assemble *a, uint16_t channel);

#endif
