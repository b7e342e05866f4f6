/*
 * cli - the door to the command line, whose words are parsed and presented in Lua
 *
 * scripts/cli/ holds what a command says and prints; the modules "herald.core" of this
 * folder hold what it does. This Lua state is ours and has all libraries; it has
 * nothing to do with the state that runs rules.
 */
#ifndef HERALD_FACE_CLI_H
#define HERALD_FACE_CLI_H

#include "base/buf.h"
#include "base/err.h"
#include "base/settings.h"
#include "script/script_types.h"

#include <lua.h>

/* Runs the command line; returns the exit code. */
int cli_main(int argc, char **argv);

/* Pushes nil, the kind of the error ("config" for what the user has to mend, "missing", "input",
 * "busy", else "failed") and its text; returns 3. May raise. */
int cli_push_error(lua_State *L, const struct err *err);

/* Calls fn(L) with `arg` as light userdata at index 1, from C that Lua called and that must
 * not be unwound: a callback. ERR_CONFIG with the error's text when it raises. */
int cli_protect(lua_State *L, lua_CFunction fn, void *arg, struct err *err);

/* All of Lua's libraries; only for code that is its author's own program. May raise. */
void cli_open_libraries(lua_State *L);

/* herald.core as the command line has it, as require wants it. May raise. */
int cli_open_core(lua_State *L);

/* A searcher for require: the modules that were built into the binary. May raise. */
int cli_search_embedded(lua_State *L);

/* Pushes an empty buffer that frees itself when Lua lets it go, so that a Lua error on
 * the way loses nothing. May raise. */
struct buf *cli_push_buf(lua_State *L, size_t max);

/* Fills *out from the table at `index`, as cli/settings.lua has checked it; a field that is not
 * there stays as it is. Texts are lent by the table. May raise. */
void cli_read_settings(lua_State *L, int index, struct settings *out);

/* Pushes the list at `folders` of the table at `index`. Its texts are lent by the table. May
 * raise. */
const struct script_folder *cli_push_folders(lua_State *L, int index, size_t *n_out);

/* Each adds its functions to the table on top of the stack. May raise. */
void cli_add_system(lua_State *L);  /* files, folders, times, texts */
void cli_add_store(lua_State *L);   /* emit, counts, dead letters, outbox, retries */
void cli_add_router(lua_State *L);  /* run, and asking one that runs */
void cli_add_check(lua_State *L);   /* what rules declare, and what is wrong with it */
void cli_add_testing(lua_State *L); /* a state for specs */
void cli_add_survey(lua_State *L);  /* a store, a disk, a file: looked at, never changed */
void cli_add_files(lua_State *L);   /* folders, and the files in the binary */

#endif
