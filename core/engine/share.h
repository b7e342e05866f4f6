/*
 * share - how the time of a turn is divided among its phases
 *
 *   begin ---> enter ---> is used? ---> leave ---> enter the next one ...
 *                            ^  '--- no: one unit of work
 *                            '------------'
 *
 * A phase has an even part of the turn, counted from when it is entered: another one that
 * outlasts its own, by a slow handler, takes nothing from it. It also has what the others do not
 * need: what is left of the turn when it is entered, less what the phases behind it used the last
 * time, of their even parts. The first unit of a phase is always allowed, so whatever has work
 * moves in every turn.
 */
#ifndef HERALD_ENGINE_SHARE_H
#define HERALD_ENGINE_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum share_phase {
    SHARE_RETRIES,    /* messages that are tried again */
    SHARE_DELIVERIES, /* messages that are new */
    SHARE_BACKLOGS,   /* outbox rows that wait for their outlet */
    SHARE_DUE,        /* outbox rows that were postponed */
    SHARE_FRESH,      /* outbox rows that are new */
    SHARE_SETTLE,     /* what the broker said of rows that were sent */
    SHARE_CARE,       /* what is old goes */
    SHARE_PHASES
};

/* Zeroed at first. Times are monotonic, in ms. */
struct share {
    int64_t age_ms;   /* of the turn at hand, if no unit outlasts its share */
    int64_t began_ms; /* the turn */
    enum share_phase at;
    int64_t entered_ms;
    int64_t until_ms;
    size_t units;               /* of the phase so far */
    bool cut;                   /* its share was used up, with work left */
    bool entered[SHARE_PHASES]; /* in this turn */
    int64_t
        need[SHARE_PHASES]; /* what each used the last time; the age of a turn where it was cut */
};

void share_begin(struct share *s, int64_t now_ms, int64_t age_ms);

/* A turn enters a phase once at most; one that was entered is left before the next. */
void share_enter(struct share *s, enum share_phase phase, int64_t now_ms);

/* Asked before each unit of work, when there is one. */
bool share_is_used(struct share *s, int64_t now_ms);

void share_leave(struct share *s, int64_t now_ms);

/* What a phase may last from its entry to its end, at least 1 ms: to be divided further. */
int64_t share_length(const struct share *s);

#endif
