/*
 * look - what there is to know about rules without running them, for `herald check`
 *
 * The rules are loaded as `herald run` loads them, the migrations are applied to a store that
 * exists for this one look, and what is a constant in the rules is prepared against it. The
 * router's own store is only read. Nothing here calls Lua or raises.
 */
#ifndef HERALD_FACE_LOOK_H
#define HERALD_FACE_LOOK_H

#include "base/arena.h"
#include "base/log.h"
#include "base/settings.h"
#include "script/script.h"
#include "store/sql.h"

/* A constant, or what the broker was found to have. */
struct found {
    struct found *next;
    int kind;                /* CONSTANT_ or INSPECT_ */
    int line, column;        /* of a constant */
    int values;              /* of a CONSTANT_SQL: as in struct script_constant */
    int at;                  /* byte of its text that `problem` is about; -1: not known */
    struct slice where;      /* a constant's file, a broker's origin */
    struct slice text;       /* the constant, or what is said of the broker */
    struct slice order_type; /* of a CONSTANT_EMIT, or absent */
    struct slice problem;    /* of a CONSTANT_SQL: why it cannot be prepared, or absent */
};

struct found_list {
    struct found *first, **end;
};

struct look {
    struct arena arena;
    struct log *log; /* owned */
    char folder[64]; /* of the store; "" before it is made and once it is gone */
    char path[80];   /* of the store */
    struct db *db;   /* owned */
    struct sql *sql; /* owned */
    struct script_host host;
    struct script *script;                       /* owned; NULL when the rules did not load */
    struct found_list constants, live, applied;  /* the last: of the router's own store */
    char server[64];                             /* the broker that answered; "": none */
    bool full;                                   /* the arena is */
    bool told_body_ids;                          /* once for all subscriptions */
    struct err store, migrations, rules, broker; /* what went wrong, where it did */
};

void look_init(struct look *k);

/* Once for each look. `settings` without host and load_ms; `live` says how to reach a broker to
 * compare with, or is NULL; `store` of the router, which is looked at and not changed. What was
 * found is in *k: look at k->store first, which tells of the machine's trouble; the other errors
 * are the author's. */
void look_run(struct look *k, struct script_settings *settings, const struct settings *live,
              const char *store);

/* Frees everything and removes the store; may be called again. */
void look_close(struct look *k);

#endif
