/*
 * lib_msg - the message that a handler is given
 *
 * Read-only fields: id, type, order_type (business key 2), business_key1 to 3, body
 * (decoded JSON; nil where the message is not JSON; the bytes for envelope = "raw"), raw, headers,
 * attempt, queue, exchange, routing_key, timestamp (seconds, or nil), redelivered, and the other
 * properties of AMQP by their names.
 */
#ifndef HERALD_SCRIPT_LIB_MSG_H
#define HERALD_SCRIPT_LIB_MSG_H

#include "base/message.h"

#include <lua.h>

struct script;

/* RAISES only for want of memory: makes the class. */
void lib_msg_open(lua_State *L);

/* Pushes a message's headers as a table. RAISES. */
void lib_msg_push_headers(lua_State *L, struct script *s, const struct message *m);

/* Pushes the message of the running call. RAISES only for want of memory. */
void lib_msg_push(lua_State *L);

#endif
