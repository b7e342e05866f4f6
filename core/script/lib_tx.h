/*
 * lib_tx - the transaction that a handler is given
 *
 *   tx:exec(sql, ...)    changed rows
 *   tx:row(sql, ...)     the first row as a table, or nil
 *   tx:value(sql, ...)   its first column, or nil
 *   tx:query(sql, ...)   an iterator of rows (cursor.h)
 *   tx:emit{...}         a message of the same transaction (lib_emit.h)
 */
#ifndef HERALD_SCRIPT_LIB_TX_H
#define HERALD_SCRIPT_LIB_TX_H

#include <lua.h>

/* RAISES only for want of memory: makes the class. */
void lib_tx_open(lua_State *L);

/* Pushes the transaction of the running call. RAISES only for want of memory. */
void lib_tx_push(lua_State *L);

#endif
