/*
 * clerk - what is asked over HTTP is answered by the command line, in processes of their own
 *
 *   (none) --somebody asks--> READY <--answer-- --question--> BUSY
 *                               '-- nobody asked for 30 s: its input ends, and so does it
 *
 * A clerk is this program once more (scripts/admin/clerk.lua), which works on the store as commands
 * do: beside the router, with less priority, and nothing that goes wrong in it reaches a turn. It
 * is given a line of JSON and a body, and answers the same way.
 */
#ifndef HERALD_FACE_CLERK_H
#define HERALD_FACE_CLERK_H

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"

#include <uv.h>

struct clerks;

/* Lent until the callback returns, but for `body`, which is taken over. */
struct clerk_answer {
    unsigned status;    /* of HTTP */
    struct slice allow; /* methods that the path has, where it was another; or absent */
    bool replayed;      /* it was done already, and this is what was said then */
    struct buf body;    /* JSON */
};

typedef void clerk_answer_fn(void *arg, struct clerk_answer *answer);

int clerks_new(struct clerks **out, uv_loop_t *loop, struct log *log, struct err *err);

/* `head`, members of a JSON object without its braces, is copied; `body` is lent until the answer,
 * which comes from the loop, never from within. False: too many ask. */
bool clerks_ask(struct clerks *c, struct slice head, struct slice body, clerk_answer_fn *fn,
                void *arg);

/* Ends them; who waits is told. The memory goes once the loop has closed their handles. NULL is
 * fine. */
void clerks_stop(struct clerks **out);

#endif
