/*
 * lent - what a handler may use only while it runs
 *
 * The userdata holds the serial number of its call and nothing else, so taking it back
 * is one assignment at the end of the call, on every path: an object of another call
 * is dead, wherever a script kept it.
 */
#ifndef HERALD_SCRIPT_LENT_H
#define HERALD_SCRIPT_LENT_H

#include "script/script_int.h"

struct lent {
    uint64_t serial; /* of the call it was made for */
};

/* Makes the class whose objects look their fields up with `index`: that has the table on top as its
 * upvalue, which is popped. RAISES only for want of memory. */
void lent_open(lua_State *L, const char *class_name, lua_CFunction index, lua_CFunction newindex,
               lua_CFunction tostring);

/* Pushes an object of the class for the running call. RAISES only for want of memory. */
struct lent *lent_push(lua_State *L, const char *class_name, int user_values);

/* RAISES when the value is not of the class, or its call is over: "message used after
 * its handler returned" for `what` "message". */
struct script *lent_check(lua_State *L, int index, const char *class_name, const char *what);

/* True while its call is running. */
bool lent_alive(const struct script *s, const struct lent *l);

#endif
