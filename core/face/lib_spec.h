/*
 * lib_spec - what specs drive a router with; see lib_spec.c
 */
#ifndef HERALD_FACE_LIB_SPEC_H
#define HERALD_FACE_LIB_SPEC_H

#include <lua.h>

/* Adds spec_router to the table on top of the stack; values cross as script/convert.h says,
 * whose convert_open comes first. May raise. */
void cli_add_spec_router(lua_State *L);

#endif
