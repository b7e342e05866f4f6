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

#include <lua.h>

/* Runs the command line; returns the exit code. */
int cli_main(int argc, char **argv);

/* Pushes nil, the kind of the error ("config" for what the user has to mend, else
 * "failed") and its text; returns 3. May raise. */
int cli_push_error(lua_State *L, const struct err *err);

/* Pushes an empty buffer that frees itself when Lua lets it go, so that a Lua error on
 * the way loses nothing. May raise. */
struct buf *cli_push_buf(lua_State *L, size_t max);

/* Each adds its functions to the table on top of the stack. May raise. */
void cli_add_system(lua_State *L); /* files, folders, times, texts */
void cli_add_store(lua_State *L);  /* emit, counts, dead letters */
void cli_add_router(lua_State *L); /* run, and asking one that runs */

#endif
