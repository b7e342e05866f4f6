/*
 * cli_store - what the lib_ files that work on a store share
 *
 * All of it may raise, and owns nothing when it does: a store belongs to a userdata.
 */
#ifndef HERALD_FACE_CLI_STORE_H
#define HERALD_FACE_CLI_STORE_H

#include "face/cli.h"
#include "store/list.h"

/* A store that closes itself when a Lua error passes by. */
struct cli_store {
    struct db *db;         /* owned; NULL once closed */
    struct list *list;     /* of its rows; owned, NULL: none */
    struct backup *backup; /* of it; owned, NULL: none */
    struct log *log;       /* warnings of the store; owned */
    int64_t *ids;          /* of the rows that are meant; owned, NULL: none */
};

/* Pushes it. Without `create`, ERR_NOT_FOUND says where a store comes from. */
struct cli_store *cli_store_open(lua_State *L, const char *path, bool create, struct err *err);
/* The same of any version, to copy it. */
struct cli_store *cli_store_open_as_it_is(lua_State *L, const char *path, struct err *err);
void cli_store_close(struct cli_store *s);

/* Fields of the table at an index; a string is lent as long as the table holds it. */
struct slice cli_get_slice(lua_State *L, int table, const char *name);
int64_t cli_get_integer(lua_State *L, int table, const char *name, int64_t absent);
bool cli_get_flag(lua_State *L, int table, const char *name);

/* {ids, type, key1, order_type, key3, message_id, queue, side, lane, error, group, older_ms,
 * newer_ms, since_ms, before_ms, later (only what is due later), failed}, all optional. Pushes the
 * value that holds the ids. */
struct pick cli_get_pick(lua_State *L, int table);

/* ERR_CONFIG or ERR_INPUT: the outbox cannot take it, in words with `dash` before the names of its
 * parts. */
int cli_check_message(const struct message *m, const char *dash, struct err *err);

/* When the message at `table` is to go out: `at`, or `delay` from now on, both in ms; else at once.
 */
int64_t cli_due_time(lua_State *L, int table);

/* lib_lists.c, lib_changes.c, lib_backup.c, lib_admin.c, lib_halts.c: as cli_add_store, which calls
 * them. */
void cli_add_lists(lua_State *L);
void cli_add_changes(lua_State *L);
void cli_add_backup(lua_State *L);
void cli_add_admin(lua_State *L);
void cli_add_halts(lua_State *L);

#endif
