/*
 * script - one generation: a Lua state, its rules, and calls into its handlers
 *
 * A generation is built aside, checked, used by one thread, and freed; nothing
 * crosses to the next one in Lua memory. No function here raises a Lua error: all
 * calls go through the one door in protect.c.
 */
#ifndef HERALD_SCRIPT_SCRIPT_H
#define HERALD_SCRIPT_SCRIPT_H

#include "base/err.h"
#include "base/message.h"
#include "script/host.h"
#include "script/rules.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One folder of rules. `namespace_` is "" or the include's name; file names in
 * messages are relative to the router folder ("learning/rules/enrol.lua:12"). */
struct script_folder {
    const char *path; /* absolute or relative to the process: where rules/ is */
    const char *namespace_;
};

/* Like realloc; `size` 0 frees. */
typedef void *script_memory_fn(void *arg, void *p, size_t size);

struct script_settings {
    const struct script_folder *folders;
    size_t n_folders;
    size_t memory_max;              /* bytes of a state */
    int64_t handler_ms;             /* a handler's time limit */
    int64_t load_ms;                /* for all files together */
    struct retry_policy retry;      /* where rules say nothing else; attempts 0: the built-in */
    const struct script_host *host; /* lent for life */
    script_memory_fn *memory;       /* NULL: the C library's; tests make it fail */
    void *memory_arg;
};

struct script;

/* Reads rules/ *.lua of each folder (in order of name, regular files only) and, for
 * require "lib.money", lib/ ** / *.lua; runs the rules under limits, seals them.
 * ERR_CONFIG: file, line, what is wrong. */
int script_load(struct script **s, const struct script_settings *settings, struct err *err);
void script_free(struct script **s);

/* Makes a fresh state from the sources kept in memory and replaces *s, which stays as
 * it is on failure: after SCRIPT_NOMEM, and before a turn is run again
 * (docs/design.md#a-turn-that-is-run-again). Handlers looked up before are invalid afterwards; the
 * pointer in *s, its rules and their topology stay where they are. */
int script_rebuild(struct script **s, struct err *err);

const struct rules *script_rules(const struct script *s);
const char *script_hash(const struct script *s); /* 12 hex digits over names and contents */

/* What a handler sees of a message. Lent for the call. */
struct script_message {
    const struct message *message;           /* resolved */
    struct slice raw;                        /* body as it came; absent: it is the message's */
    const struct subscription *subscription; /* its before and after hooks run around the handler */
    struct slice queue;
    struct slice exchange;
    struct slice routing_key;
    int attempt; /* 1 for the first try */
    bool redelivered;
};

enum script_verdict {
    SCRIPT_DONE,        /* returned */
    SCRIPT_FAILED,      /* error(...), or hit a limit: retry by policy */
    SCRIPT_RETRY,       /* herald.retry(delay, why) */
    SCRIPT_REJECT,      /* herald.reject(why) */
    SCRIPT_NOMEM,       /* the state ran out of memory: it must be rebuilt */
    SCRIPT_TX_LOST,     /* a statement ended the turn's transaction */
    SCRIPT_ENVIRONMENT, /* the store's trouble; `code` says which */
};

struct script_outcome {
    enum script_verdict verdict;
    int code;             /* ERR_ code behind TX_LOST and ENVIRONMENT */
    int64_t delay_ms;     /* SCRIPT_RETRY; -1: by policy */
    char error[1024];     /* first what, with file and line; "" when done */
    char traceback[4096]; /* short; "" when there is none */
};

/* Calls the handler. Never fails by itself: the outcome says it all. */
void script_call(struct script *s, const struct handler *h, const struct script_message *m,
                 struct script_outcome *out);

/* For a route with a `to_function`: asks it where this message goes. The destinations are
 * lent until the next call of this function. ERR_SCRIPT: it failed, ran too long or
 * returned something else, with words and place; ERR_NOMEM: the state must be rebuilt. */
int script_route(struct script *s, const struct route *r, const struct message *m,
                 const struct destination **to_out, size_t *n_out, struct err *err);

/* For a subscription with ENVELOPE_FUNCTION: asks it for type, keys, id and body of a
 * message as received, and fills `m` with what it says (lent until the next call of this
 * function). Codes as script_route; ERR_SCRIPT makes a dead letter with these words. */
int script_envelope(struct script *s, const struct script_message *received, struct message *m,
                    struct err *err);

/* For a subscription with an `identity`: the name of a resolved message that came without
 * an id. Lent until the next call of this function; absent when it returned nil. */
int script_identity(struct script *s, const struct script_message *m, struct slice *id_out,
                    struct err *err);

/* What a reload changes. `what` is "file", "handler", "route" or "subscription"; the name
 * is for people ("payresult_notify 60201", "paynotify_queue"). A handler is changed when
 * the text of its function or an option is. Strings are lent for the call. */
enum script_change { SCRIPT_ADDED, SCRIPT_CHANGED, SCRIPT_REMOVED };
typedef void script_change_fn(void *arg, enum script_change change, const char *what,
                              const char *name, const char *origin);
void script_changes(const struct script *before, const struct script *after, script_change_fn *fn,
                    void *arg);

/* Constants in the text of the files, found without running them: the SQL given to
 * tx:exec, tx:query, tx:row and tx:value as one literal string, and the literal type
 * (and order type, business_key2) of a table given to tx:emit. */
struct script_constant {
    const char *file; /* "learning/rules/enrol.lua" */
    int line;         /* of the literal, from 1 */
    int column;       /* in bytes, from 1 */
    /* Two kinds are mistakes by themselves: tx.exec(...), a field that tx:emit does not know. */
    enum constant_kind { CONSTANT_SQL, CONSTANT_EMIT, CONSTANT_DOT, CONSTANT_FIELD } kind;
    struct slice text;       /* the string's value: SQL, or the emitted type; or the name */
    struct slice order_type; /* CONSTANT_EMIT: absent when it is none or not literal */
    int values;              /* CONSTANT_SQL: given behind it; -1: nobody can tell how many */
};
/* Returns false to stop. Slices are lent for the call. */
typedef bool script_constant_fn(void *arg, const struct script_constant *c);
int script_constants(const struct script *s, script_constant_fn *fn, void *arg, struct err *err);

/* The files of this generation, by position; NULL beyond the last. */
const char *script_file(const struct script *s, size_t i);
bool script_has_file(const struct script *s, const char *name);

size_t script_memory(const struct script *s); /* bytes in use by the state */

/* A step of the collector, for the time between turns. */
void script_step(struct script *s);

#endif
