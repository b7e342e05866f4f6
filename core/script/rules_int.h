/*
 * rules_int - what only the script floor does with rules
 */
#ifndef HERALD_SCRIPT_RULES_INT_H
#define HERALD_SCRIPT_RULES_INT_H

#include "base/arena.h"
#include "script/rules.h"

/* Handle of a function that a rebuild did not find again: the registry holds nil there. */
enum { RULES_LOST = -1 };

/* Where all that is declared of a kind lies, as long as the rules. */
struct arena *rules_memory(struct rules *r, enum rule_kind kind);

/* Each takes a copy of the struct, whose strings and lists lie in that memory. ERR_CONFIG names
 * both places of a duplicate, and of an exchange that would be of two kinds. */
int rules_add_route(struct rules *r, const struct route *route, struct err *err);
int rules_add_subscription(struct rules *r, const struct subscription *s, struct err *err);
int rules_add_handler(struct rules *r, const struct handler *h, struct err *err);

/* Nothing may be added afterwards. */
void rules_seal(struct rules *r);

/* After a rebuild: the handlers of `from`, made in a fresh state from the same files,
 * take the place of r's, and so do the handles of all other functions. Routes and
 * subscriptions of r stay where they are, since the engine and the broker lend them. Both
 * are sealed. */
void rules_take_handlers(struct rules *r, struct rules *from);

#endif
