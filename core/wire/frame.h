/*
 * frame - AMQP's frames cut out of a stream of bytes
 *
 *   type (1)  channel (2)  size (4)  payload (size)  0xCE
 *
 * Everything is checked here before a decoder sees it: the type, the size against
 * the limit, the end byte. rabbitmq-c 0.11 is not fit for hostile bytes: after an
 * error it may crash on the next ones (docs/field-notes.md#hostile-bytes), so it is given the
 * payload of whole, known-good frames only, and a connection that broke the rules is dropped.
 */
#ifndef HERALD_WIRE_FRAME_H
#define HERALD_WIRE_FRAME_H

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"

#include <stddef.h>
#include <stdint.h>

enum frame_type { FRAME_METHOD = 1, FRAME_HEADER = 2, FRAME_BODY = 3, FRAME_HEARTBEAT = 8 };

enum {
    FRAME_PREFIX = 7,         /* bytes before the payload */
    FRAME_OVERHEAD = 8,       /* and with the end byte */
    FRAME_END = 0xCE,         /* the end byte */
    FRAME_MAX_START = 131072, /* limit before a limit is agreed, and where none is offered */
    FRAME_MAX_LEAST = 8192,   /* RabbitMQ 4.1 refuses less */
    FRAME_MAX_MOST = 1048576, /* what we agree to at most: a split frame is kept in memory */
};

struct frame {
    enum frame_type type; /* one of those and no other */
    uint16_t channel;     /* 0: the connection itself */
    struct slice payload; /* lent */
};

/* Frames are handed over as they get whole. Anything but OK ends the feed. */
typedef int frame_fn(void *arg, const struct frame *f, struct err *err);

struct frame_reader {
    struct buf rest;  /* the start of a frame whose end has not come yet */
    size_t frame_max; /* whole frames may be so long */
};

void frame_reader_init(struct frame_reader *r);
void frame_reader_free(struct frame_reader *r);

/* For a new connection: nothing is left over, the limit is FRAME_MAX_START. */
void frame_reader_reset(struct frame_reader *r);

/* Calls `each` for every frame that gets whole with these bytes; most lie in them
 * and are not copied. Returns OK, what `each` returned, ERR_INPUT for bytes that
 * are no such frames (the reader must be reset), or ERR_NOMEM. */
int frame_reader_feed(struct frame_reader *r, const char *bytes, size_t len, frame_fn *each,
                      void *arg, struct err *err);

#endif
