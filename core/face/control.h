/*
 * control - the router's Unix socket: one question a connection, one answer
 *
 * The socket lies beside the store unless the settings name a place, for its owner alone. A
 * question is one line, a JSON object; the answer is lines of JSON objects and ends with the
 * connection (docs/operations.md#the-control-socket). The router does nothing else meanwhile.
 */
#ifndef HERALD_FACE_CONTROL_H
#define HERALD_FACE_CONTROL_H

#include "base/buf.h"
#include "base/err.h"

#include <uv.h>

enum {
    CONTROL_QUESTION_MAX = 1024, /* with its line end */
    CONTROL_PATH_MAX = 108,      /* of a socket, with its NUL (unix(7)) */
    CONTROL_IDLE_MS = 5000, /* who asks nothing for so long, or reads no answer, is hung up on */
};

struct control;

/* Writes the answer to a question (without its line end) into `answer`. */
typedef void control_answer_fn(void *arg, const char *question, struct buf *answer);

/* Makes a socket beside `path`, where nobody looks for it yet, so that a start that fails has
 * touched nothing of another router. ERR_CONFIG: the path is too long; ERR_IO: no socket can be
 * made there. `fn` and `arg` are lent for life. */
int control_start(struct control **c, uv_loop_t *loop, const char *path, control_answer_fn *fn,
                  void *arg, struct err *err);

/* Gives the socket its name; the caller has the store's lock, so nobody else listens there. */
int control_open(struct control *c, struct err *err);

/* Closes all connections and removes the socket; *c is freed from the loop later. */
void control_stop(struct control **c);

/* Asks the router that listens on `path` and waits at most `timeout_ms`. ERR_NOT_FOUND:
 * nobody listens. For the command line: it blocks. */
int control_ask(const char *path, const char *question, int timeout_ms, struct buf *answer,
                struct err *err);

#endif
