/*
 * cli_store - what the lib_ files that work on a store share
 *
 * All of it may raise, and owns nothing when it does: a store belongs to a userdata.
 */
#ifndef HERALD_FACE_CLI_STORE_H
#define HERALD_FACE_CLI_STORE_H

#include "base/arena.h"
#include "base/message.h"
#include "face/cli.h"
#include "store/pick.h"

/* A store that closes itself when a Lua error passes by. */
struct cli_store {
    struct db *db;      /* owned; NULL once closed */
    struct arena arena; /* copies of what was read */
    struct log *log;    /* warnings of the store; owned */
    int64_t *ids;       /* of the rows that are meant; owned, NULL: none */
};

/* Pushes it. Without `create`, ERR_NOT_FOUND says where a store comes from. */
struct cli_store *cli_store_open(lua_State *L, const char *path, bool create, struct err *err);

/* Fields of the table on top of the stack. An absent slice sets none. */
void cli_set_integer(lua_State *L, const char *name, int64_t value);
void cli_set_slice(lua_State *L, const char *name, struct slice s);

/* The same: type, key1 to key3, body, headers. */
void cli_set_message(lua_State *L, const struct message *m);

/* The same: tries, a list of {at, attempt, generation, error, traceback}; the arena is for a
 * moment. */
void cli_set_tries(lua_State *L, struct arena *a, struct slice tries);

/* Fields of the table at an index; a string is lent as long as the table holds it. */
struct slice cli_get_slice(lua_State *L, int table, const char *name);
int64_t cli_get_integer(lua_State *L, int table, const char *name, int64_t absent);

/* {ids, type, order_type, queue, side, error, group, older_ms, newer_ms}, all optional.
 * Pushes the value that holds the ids. */
struct pick cli_get_pick(lua_State *L, int table);

/* The body of a Lua function (path, pick, progress) -> how many, or nil, kind, why.
 * `pick` has also limit, dry_run, later (only what is due later) and failed; progress, or
 * nil, is called with the number so far after each batch. */
int cli_change(lua_State *L, enum pick_table table, pick_fn *fn);

/* lib_letters.c, lib_rows.c, lib_lanes.c, lib_history.c: as cli_add_store, which calls them. */
void cli_add_letters(lua_State *L);
void cli_add_rows(lua_State *L);
void cli_add_lanes(lua_State *L);
void cli_add_history(lua_State *L);

#endif
