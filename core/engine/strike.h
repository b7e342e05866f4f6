/*
 * strike - which message was in a handler when the process died
 *
 * One page of a file, mapped into memory: what is written there survives the process,
 * though not the machine, and costs no system call. A message that was in its handler
 * when the process ended is the suspect of the next start:
 *
 *                 strike_enter                     strike_leave
 *   nobody ----------------------> in a handler --------------------> nobody
 *                                        | the process dies, and is started again
 *                                        v
 *                                     suspect, one strike more if it was suspect before
 *
 * Functions that are asked before the handler enter, too, and pause: they clear nobody.
 * A suspect is handled alone (docs/design.md#strikes); when it has STRIKES_MAX strikes it is not
 * handled any more. Returning from its handler clears it. There may be several, of one queue or of
 * many, which take turns in ending the process; the one that did so last the longest ago makes room
 * for one more than STRIKES_SUSPECTS.
 */
#ifndef HERALD_ENGINE_STRIKE_H
#define HERALD_ENGINE_STRIKE_H

#include "base/err.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum { STRIKES_MAX = 3, STRIKES_SUSPECTS = 8 };

struct strike;

/* Maps <store>-strike, made when absent. ERR_IO with words: a router can do without. */
int strike_open(struct strike **out, const char *store, struct err *err);
void strike_close(struct strike **s); /* NULL is fine */

/* Around each handler. A message is known by its queue, its id where it has one, and a
 * fingerprint (the engine's: of the message as received where it has no id, else 0). `s` may be
 * NULL. */
void strike_enter(struct strike *s, struct slice queue, struct slice id, uint64_t fingerprint);
void strike_leave(struct strike *s);

/* The function returned, but the message's handler has not run yet: it stays the suspect. */
void strike_exit(struct strike *s);

/* Whether anybody is suspected at all. */
bool strike_any(const struct strike *s);

/* How often the process died in a row with this message in its handler; 0: never. */
int strike_count(const struct strike *s, struct slice queue, struct slice id, uint64_t fingerprint);

/* What a message is known by; never 0. */
uint64_t strike_key(struct slice queue, struct slice id, uint64_t fingerprint);

/* A suspect has become a dead letter: it is not suspected any more. */
void strike_forget(struct strike *s, uint64_t key);

#endif
