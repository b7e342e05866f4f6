/*
 * script - one generation: a Lua state, its rules, and calls into its handlers
 *
 * A generation is built aside, checked, used by one thread, and freed; nothing
 * crosses to the next one in Lua memory. No function here raises a Lua error: all
 * calls go through the one door in protect.c.
 */
#ifndef HERALD_SCRIPT_SCRIPT_H
#define HERALD_SCRIPT_SCRIPT_H

#include "script/script_types.h"

struct script;

/* Reads rules/ *.lua of each folder (in order of name, regular files only) and, for
 * require "lib.money", lib/ ** / *.lua; runs the rules under limits, seals them.
 * ERR_CONFIG: file, line, what is wrong. */
int script_load(struct script **out, const struct script_settings *settings, struct err *err);
void script_free(struct script **s);

/* Makes a fresh state from the sources kept in memory and replaces *s, which stays as
 * it is on failure: after SCRIPT_NOMEM, and before a turn is run again
 * (docs/design.md#a-turn-that-is-run-again). Handlers looked up before are invalid afterwards; the
 * pointer in *s, its rules and their topology stay where they are. */
int script_rebuild(struct script **s, struct err *err);

const struct rules *script_rules(const struct script *s);
const char *script_hash(const struct script *s); /* 12 hex digits over names and contents */

/* Calls the handler. Never fails by itself: the outcome says it all. */
void script_call(struct script *s, const struct handler *h, const struct script_message *m,
                 struct script_outcome *out);

/* For a route with a `to_function`: asks it where this message goes. The destinations are
 * lent until the next call of this function. ERR_SCRIPT: it failed, ran too long or
 * returned something else, with words and place; ERR_NOMEM: the state must be rebuilt. */
int script_route(struct script *s, const struct route *r, const struct message *m,
                 const struct destination **to_out, size_t *n_out, struct err *err);

/* For a subscription with ENVELOPE_FUNCTION: asks it what a message as received is, and fills in
 * what it says (lent until the next call of this function). Codes as script_route; ERR_INPUT: a
 * named envelope cannot read it, with words: no later try will. */
int script_envelope(struct script *s, const struct script_message *received,
                    struct script_reading *out, struct err *err);

/* For a subscription with an `identity`: the identity of a resolved message that came without
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
    enum constant_kind {
        CONSTANT_SQL,
        CONSTANT_EMIT,
        CONSTANT_DOT,
        CONSTANT_FIELD,
        CONSTANT_HEADER,
    } kind;
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
