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
    const struct script_host *host; /* lent for life */
    script_memory_fn *memory;       /* NULL: the C library's; tests make it fail */
    void *memory_arg;
};

struct script;

/* Reads rules/ *.lua of each folder (in order of name, regular files only), runs
 * them under limits, seals the rules. ERR_CONFIG: file, line, what is wrong. */
int script_load(struct script **s, const struct script_settings *settings, struct err *err);
void script_free(struct script **s);

/* Makes a fresh state from the sources kept in memory and replaces *s, which stays as
 * it is on failure: after SCRIPT_NOMEM, and before a turn is run again (DESIGN 6).
 * Handlers looked up before are invalid afterwards; the pointer in *s, its rules and
 * their topology stay where they are. */
int script_rebuild(struct script **s, struct err *err);

const struct rules *script_rules(const struct script *s);
const char *script_hash(const struct script *s); /* 12 hex digits over names and contents */

/* What a handler sees of a message. Lent for the call. */
struct script_message {
    const struct message *message; /* resolved */
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

size_t script_memory(const struct script *s); /* bytes in use by the state */

/* A step of the collector, for the time between turns. */
void script_step(struct script *s);

#endif
