/*
 * rules_int - what only the script floor does with rules
 */
#ifndef HERALD_SCRIPT_RULES_INT_H
#define HERALD_SCRIPT_RULES_INT_H

#include "script/rules.h"

/* Handle of a function that a rebuild did not find again: the registry holds nil there. */
enum { RULES_LOST = -1 };

/* Free the strings of a struct that was not added, and clear it. */
void rules_drop_handler(struct handler *h);
void rules_drop_route(struct route *r);
void rules_drop_subscription(struct subscription *s);

/* After a rebuild: the handlers of `from`, made in a fresh state from the same files,
 * take the place of r's, and so do the handles of all other functions. Routes and
 * subscriptions of r stay where they are, since the engine and the broker lend them. Both
 * are sealed. */
void rules_take_handlers(struct rules *r, struct rules *from);

#endif
