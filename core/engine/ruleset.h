/*
 * ruleset - what a set of rules has, in few bytes: its handlers, routes, subscriptions, files
 *
 * The store keeps that of the set taken last (store/rules_taken.h), so that a reload and a start
 * can tell what files that are not there, perhaps for a moment only, would take away. An entry is a
 * letter and three texts, each ended by a zero byte; an empty text is an absent one.
 */
#ifndef HERALD_ENGINE_RULESET_H
#define HERALD_ENGINE_RULESET_H

#include "base/buf.h"
#include "script/lookup.h"
#include "script/script.h"

#include <stdbool.h>

enum ruleset_kind {
    RULESET_HANDLER = 'h',      /* type, order type, queue */
    RULESET_ROUTE = 'r',        /* type, order type */
    RULESET_SUBSCRIPTION = 's', /* queue */
    RULESET_FILE = 'f',         /* name */
};

enum { RULESET_MAX = 64 * 1024 * 1024 }; /* bytes of one, for buf_init */

struct ruleset_entry {
    enum ruleset_kind kind;
    struct slice name[LOOKUP_PARTS]; /* zero-terminated where they are there */
};

/* Appends that of a script. ERR_NOMEM or ERR_LIMIT. */
int ruleset_write(const struct script *s, struct buf *out);

/* Takes the next entry off the front of *left; false: there is none. */
bool ruleset_next(struct slice *left, struct ruleset_entry *out);

/* True when nothing in the script takes its place: no other handler or route takes what went to
 * this one, or there is no such subscription or file. */
bool ruleset_misses(const struct script *s, const struct ruleset_entry *r);

#endif
