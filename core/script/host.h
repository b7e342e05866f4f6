/*
 * host - what a script may ask of the engine during a handler's call
 *
 * The script floor knows no store: tx:exec and its sisters go through these
 * functions, which the engine fills in. None of them raises a Lua error; each
 * returns OK or an ERR_ code with words in err.
 *
 *   ERR_SCRIPT    the handler's mistake: becomes a Lua error that it may catch
 *   ERR_TX_LOST   the statement ended the turn's transaction
 *   environment   (err_is_environment) the store's trouble
 *
 * After the last two the handler is ended beyond the reach of its own pcall and
 * every further call is refused (docs/design.md#a-turn-that-is-run-again).
 */
#ifndef HERALD_SCRIPT_HOST_H
#define HERALD_SCRIPT_HOST_H

#include "base/err.h"
#include "base/log.h"
#include "base/message.h"
#include "base/value.h"

struct script_emit {
    struct message message; /* type, keys, body (absent: the default one), headers, id */
    int64_t due_at;         /* ms since 1970 UTC; 0: at once */
    struct slice key;       /* replaces older rows of that key; absent: none */
    struct slice reply_to;  /* an answer, which goes to this queue; absent: the rules say where */
    int64_t reply_until;    /* so long it is wanted, ms since 1970 UTC; INT64_MAX: for ever */
};

struct script_host {
    void *arg;

    /* One statement, ready to be bound; finish gives it back on every path. bind copies
     * the bytes: an iterator outlives its arguments. */
    int (*prepare)(void *arg, struct slice sql, void **stmt_out, struct err *err);
    int (*parameters)(void *arg, void *stmt);
    const char *(*parameter_name)(void *arg, void *stmt, int index); /* ":a"; NULL: "?" */
    int (*bind)(void *arg, void *stmt, int index, const struct value *v, struct err *err);
    int (*step)(void *arg, void *stmt, struct err *err); /* 1 row, 0 end, ERR_ */
    int (*columns)(void *arg, void *stmt);
    const char *(*column_name)(void *arg, void *stmt, int column);
    void (*column)(void *arg, void *stmt, int column, struct value *out); /* lent until step */
    int64_t (*changes)(void *arg);
    void (*finish)(void *arg, void *stmt);

    /* Adds an outbox row in the handler's transaction. */
    int (*emit)(void *arg, const struct script_emit *emit, int64_t *id_out, struct err *err);

    /* Deletes the outbox rows of a key: 1 not sent yet, 0 sent already, -1 there was none. */
    int (*cancel)(void *arg, struct slice key, int *was_out, struct err *err);

    /* herald.log.*; kept back until the turn commits. `fields` as in log.h. */
    void (*log)(void *arg, enum log_level level, const char *event, const struct log_field *fields);

    int64_t (*now_ms)(void *arg);  /* wall clock */
    int64_t (*mono_ms)(void *arg); /* for the time limit of a call */
    int64_t (*cpu_ms)(void *arg);  /* CPU time of this thread: for the limit of loading */
};

#endif
