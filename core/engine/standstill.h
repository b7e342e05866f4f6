/*
 * standstill - rules that lack something are taken when the files have stood still
 *
 * Editors rename and save, handlers move from file to file by two saves, copies are slow: for
 * a moment the files lack what is meant to stay. So what a change of files would take away of
 * the set taken last (the last handler of a type, the last route of a type of which rows wait, a
 * subscription, a file) is taken only when the files have not changed for PAST_STILL_MS, or by
 * somebody who asks. The store remembers that set, so that a start is judged in the same way: it
 * works with what there is, and what lacks its handler or its route waits (past_rules.h).
 *
 *               the files lack something                   the same files, PAST_STILL_MS later,
 *   STILL   ------------------------------> WAITING -----> or somebody asks: they are taken
 *      ^                                     |   ^ |
 *      '--- the files lack nothing any more -'   '-' other files, which lack something
 */
#ifndef HERALD_ENGINE_STANDSTILL_H
#define HERALD_ENGINE_STANDSTILL_H

#include "engine/past_rules.h"

struct engine;
struct engine_reload;

struct standstill {
    struct buf known;       /* the ruleset of the set taken last */
    struct past_rules past; /* lent to the turn */
    bool waiting;
    char hash[16];       /* of the files that are to stand still */
    int64_t over_at_ms;  /* monotonic: end of the standstill; INT64_MAX: they wait for a person, as
                            the setting says */
    int64_t look_at_ms;  /* the files are looked at again, by themselves; INT64_MAX: they are not */
    int64_t again_at_ms; /* a reload that failed for a passing reason is tried again; INT64_MAX */
    int64_t again_wait_ms;
    char why[1024]; /* what is waited for, "" when nothing is */
};

struct standstill *standstill_new(void); /* NULL: out of memory */
void standstill_free(struct standstill **s);

/* The rules of a start were loaded: compares them with what the store remembers. */
int standstill_begin(struct engine *e, struct err *err);

/* Judges a set before it is taken, and appends a line to `lines` for each thing that it takes
 * away: "loses <what> <name>", with tabs between. *wait_out: it is not to be taken now. ERR_CONFIG:
 * the setting wants to be asked. */
int standstill_judge(struct engine *e, const struct engine_reload *r, const struct script *next,
                     struct buf *lines, bool *wait_out, struct err *err);

/* Before a set is taken, while nothing has changed yet: what is to be remembered of it. */
int standstill_prepare(const struct script *next, struct buf *fresh, struct err *err);

/* The script is in force, or was already (`same`). Takes over `fresh`. */
void standstill_took(struct engine *e, const struct script *before, const struct script *now,
                     bool same, struct buf *fresh);

/* The files cannot be read as rules: they are not those that are waited for. */
void standstill_spoilt(struct engine *e);

/* A reload failed for a reason that passes: it is tried again. */
void standstill_again(struct engine *e, const struct err *why);

/* From time to time: has the files looked at again when that is due. */
void standstill_look(struct engine *e);

#endif
