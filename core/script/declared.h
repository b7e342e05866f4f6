/*
 * declared - what a rule declares, read from the table that rules.lua made of it
 *
 * rules.lua has checked the table. What is read of it is kept in an arena, and in the same breath
 * it is written to the declaration's JSON: what counts for a message cannot be missing there. The
 * fields come in the order in which they are read, so two that declare the same have the same
 * JSON. It is what a reload compares and what `herald check` reads.
 *
 * All functions may RAISE for want of memory; then the call is ended (state_end).
 */
#ifndef HERALD_SCRIPT_DECLARED_H
#define HERALD_SCRIPT_DECLARED_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/topology.h"

#include <lua.h>

struct declared {
    lua_State *L;
    int table;            /* where on its stack the fields are */
    int calls;            /* the table of what is called for its functions */
    struct arena *memory; /* lent: what is kept lies here */
    struct buf *json;     /* lent: what was read so far; one without room where nobody wants it */
};

/* A copy that ends with a NUL; an absent one stays absent. */
struct slice declared_keep(const struct declared *d, struct slice s);

/* Room in the same place. */
void *declared_take(const struct declared *d, size_t size);

/* Fields by their name; absent, 0 or false where there is none, and then not in the JSON. */
struct slice declared_text(const struct declared *d, const char *name);
int64_t declared_integer(const struct declared *d, const char *name);
bool declared_flag(const struct declared *d, const char *name);

/* The place of a word that must be there among these, which end with a NULL. */
int declared_word(const struct declared *d, const char *name, const char *const words[]);

/* The handle of a function in the registry. It counts by its lines as they stand in its file, so
 * that one that only moved is the same. */
int declared_function(const struct declared *d, const char *name);

/* The list of destinations, NULL when it is empty. *arguments: those of each binding, NULL where
 * none has any; `arguments` may be NULL where there are no bindings. */
struct destination *declared_destinations(const struct declared *d, const char *name, size_t *n_out,
                                          struct arguments **arguments);

/* A list of {name, value}; empty where there is none. */
void declared_arguments(const struct declared *d, const char *name, struct arguments *out);

/* False: there is none, and *out is as it was. */
bool declared_retry(const struct declared *d, const char *name, struct retry_policy *out);

/* Begins the JSON, and ends it: a copy. */
void declared_begin(const struct declared *d);
const char *declared_end(const struct declared *d);

#endif
