/*
 * lib_emit - tx:emit and tx:reply: a handler's own messages
 *
 *   tx:emit { type = "course_enrolled", business_key1 = 16, body = { ... } }  --> id
 *   tx:reply({ price = 99 }, { headers = { ... } })                           --> id
 */
#ifndef HERALD_SCRIPT_LIB_EMIT_H
#define HERALD_SCRIPT_LIB_EMIT_H

#include "script/script_int.h"

/* Whether the table may have a field of that name. */
bool lib_emit_knows(struct slice name);

/* The table is at stack index 2. Pushes the id of the outbox row. RAISES. */
int lib_emit(lua_State *L, struct script *s);

/* The body is at stack index 2, options may follow. Pushes the id of the outbox row. RAISES, also
 * where the message at hand asks for no answer. */
int lib_reply(lua_State *L, struct script *s);

#endif
