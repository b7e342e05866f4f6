/*
 * script_types - what goes into a script and comes out of its calls
 */
#ifndef HERALD_SCRIPT_SCRIPT_TYPES_H
#define HERALD_SCRIPT_SCRIPT_TYPES_H

#include "base/err.h"
#include "base/message.h"
#include "base/trace_context.h"
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
    struct retry_policy retry;      /* where rules say nothing else */
    const struct script_host *host; /* lent for life */
    script_memory_fn *memory;       /* NULL: the C library's; tests make it fail */
    void *memory_arg;
};

/* What a function that is an envelope says of a message. */
struct script_reading {
    struct message message; /* type, keys, id, body, timestamp; the rest as received */
    int64_t due_at;         /* ms since 1970 UTC: not to be handled earlier; 0: at once */
    int64_t expires_at;     /* not to be handled from then on; 0: never */
};

/* What a handler sees of a message. Lent for the call. */
struct script_message {
    const struct message *message;           /* resolved */
    struct slice raw;                        /* body as it came; absent: it is the message's */
    struct slice content_type;               /* as it came */
    const struct subscription *subscription; /* its before and after hooks run around the handler */
    struct slice queue;
    struct slice exchange;
    struct slice routing_key;
    int attempt; /* 1 for the first try */
    bool redelivered;
    const struct trace_context *trace; /* it belongs to; NULL: none */
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

#endif
