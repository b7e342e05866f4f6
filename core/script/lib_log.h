/*
 * lib_log - herald.log and print: what scripts say, as log events
 *
 *   herald.log.info("enrolled", { course = 16 })
 *   ... info  script.log text=enrolled at=rules/enrol.lua:12 course=16
 */
#ifndef HERALD_SCRIPT_LIB_LOG_H
#define HERALD_SCRIPT_LIB_LOG_H

#include <lua.h>

/* Pushes the table herald.log. RAISES only for want of memory. */
void lib_log_push(lua_State *L);

/* Lua: print(...), at level info. */
int lib_log_print(lua_State *L);

#endif
