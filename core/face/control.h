/*
 * control - the router's Unix socket: one question a connection, one answer
 *
 * The socket is herald.sock in the router's folder, for its owner alone. A question is
 * one line; the answer ends with the connection. "status" answers lines of
 * "name<TAB>value"; "nowhere" those of engine_nowhere, then "asked" or "asking"; "reload DRY TRIAL"
 * the lines that engine/reload.c names, and "restart<TAB>names" and "error<TAB>why". The router
 * does nothing else meanwhile.
 */
#ifndef HERALD_FACE_CONTROL_H
#define HERALD_FACE_CONTROL_H

#include "base/buf.h"
#include "base/err.h"

#include <uv.h>

#define CONTROL_SOCKET "herald.sock"

enum { CONTROL_QUESTION_MAX = 1024 }; /* with its line end */

struct control;

/* Writes the answer to a question (without its line end) into `answer`. */
typedef void control_answer_fn(void *arg, const char *question, struct buf *answer);

/* Listens in the current folder. `fn` and `arg` are lent for life. */
int control_start(struct control **c, uv_loop_t *loop, control_answer_fn *fn, void *arg,
                  struct err *err);

/* Closes all connections and removes the socket; *c is freed from the loop later. */
void control_stop(struct control **c);

/* Asks the router of the current folder and waits at most `timeout_ms`. ERR_NOT_FOUND:
 * nobody listens. For the command line: it blocks. */
int control_ask(const char *question, int timeout_ms, struct buf *answer, struct err *err);

#endif
