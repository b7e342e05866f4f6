/*
 * lib_emit - tx:emit: a handler's own messages
 *
 *   tx:emit { type = "course_enrolled", business_key1 = 16, body = { ... } }  --> id
 */
#ifndef HERALD_SCRIPT_LIB_EMIT_H
#define HERALD_SCRIPT_LIB_EMIT_H

#include "script/script_int.h"

/* Whether the table may have a field of that name. */
bool lib_emit_knows(struct slice name);

/* The table is at stack index 2. Pushes the id of the outbox row. RAISES. */
int lib_emit(lua_State *L, struct script *s);

#endif
