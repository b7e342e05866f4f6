/*
 * lib_rehearsal - what specs drive a router with; see lib_rehearsal.c
 */
#ifndef HERALD_FACE_LIB_REHEARSAL_H
#define HERALD_FACE_LIB_REHEARSAL_H

#include <lua.h>

/* Adds rehearse to the table on top of the stack; values cross as script/convert.h says,
 * whose convert_open comes first. May raise. */
void cli_add_rehearsal(lua_State *L);

#endif
