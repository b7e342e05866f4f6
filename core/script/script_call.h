/*
 * script_call - begins and ends what the engine asks of the rules
 *
 * A message, and for a handler its transaction, is lent from call_begin to call_end; what
 * a script kept of them is dead afterwards (lent.h).
 */
#ifndef HERALD_SCRIPT_SCRIPT_CALL_H
#define HERALD_SCRIPT_SCRIPT_CALL_H

#include "script/script_int.h"

/* Lends the message and starts the clock. No other call may be running. `own_limit_ms` is
 * the handler's own limit; 0: the setting's. */
void call_begin(struct script *s, const struct script_message *m, int64_t own_limit_ms);

/* Takes back what was lent, on every path. */
void call_end(struct script *s);

/* Pushes the function behind a handle. RAISES when a rebuild did not find it again. */
void call_push_function(lua_State *L, int handle);

#endif
