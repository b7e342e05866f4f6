/*
 * script_int - what the bindings share: the script, and what it lends to a handler
 */
#ifndef HERALD_SCRIPT_SCRIPT_INT_H
#define HERALD_SCRIPT_SCRIPT_INT_H

#include "base/arena.h"
#include "base/buf.h"
#include "script/encode.h"
#include "script/rules_int.h"
#include "script/script.h"
#include "script/sources.h"
#include "script/state.h"

struct cursor;

/* The call of a handler that is running, if any. */
struct call {
    uint64_t serial;                      /* counts calls: what was lent in another one is dead */
    const struct script_message *message; /* lent; NULL: no handler is running */
    void *stmt;                           /* the statement of tx:exec and its sisters */
    struct cursor *cursors;               /* open tx:query statements */
};

struct script {
    struct script_settings settings; /* without folders: they are the caller's */
    struct sources sources;          /* kept for a rebuild */
    struct state *state;             /* owned */
    struct rules *rules;             /* owned; sealed */
    struct rules *loading;           /* being filled while files are run; lent */
    const char *file;                /* the file being run: "rules/x.lua"; lent */
    struct call call;
    struct buf tape;              /* working memory of decode_json */
    struct encoder encoder;       /* working memory of encode_json */
    struct script_outcome answer; /* of our own calls into the state */
    struct arena answers;         /* what script_route or script_envelope lent last */
    struct arena identities;      /* what script_identity did */
};

static inline struct script *script_of(lua_State *L)
{
    return state_of(L)->owner;
}

/* Both doors from Lua to the host. */
static inline const struct script_host *host_of(lua_State *L)
{
    return state_of(L)->host;
}

#endif
