/*
 * lib_msg - the message that a handler is given
 *
 * Read-only fields: id, type, order_type (business key 2), business_key1 to 3, body
 * (decoded JSON; nil where the message is not JSON; the bytes for envelope = "raw"), raw, headers,
 * attempt, queue, exchange, routing_key, timestamp (seconds, or nil), redelivered.
 */
#ifndef HERALD_SCRIPT_LIB_MSG_H
#define HERALD_SCRIPT_LIB_MSG_H

#include <lua.h>

/* RAISES only for want of memory: makes the class. */
void lib_msg_open(lua_State *L);

/* Pushes the message of the running call. RAISES only for want of memory. */
void lib_msg_push(lua_State *L);

#endif
