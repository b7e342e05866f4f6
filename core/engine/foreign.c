/* foreign - see foreign.h. */
#include "engine/foreign.h"

enum {
    BUSY_MS = 2000,
    WRITES_MS = 60000,
    CLOSE_MS = 75, /* who has waited for less asks again within 25 ms */
    GAP_MS = 30,
    LONG_GAP_MS = 120,
    LONGEST_GAP_MS = 250,
    LONG_AFTER_MS = 500,
};

/* Held for so long, the lock is left free. */
static const int64_t hold_ms[] = {
    [FOREIGN_NONE] = INT64_MAX, [FOREIGN_QUIET] = 4200, [FOREIGN_WRITES] = 40, [FOREIGN_BUSY] = 5};

enum foreign_kind foreign_kind(bool is_there, int64_t seen_ms, int64_t now_ms)
{
    int64_t ago = seen_ms < 0 ? INT64_MAX : now_ms - seen_ms;

    if (ago < BUSY_MS) /* one that comes and goes, too */
        return FOREIGN_BUSY;
    if (!is_there)
        return FOREIGN_NONE;
    return ago < WRITES_MS ? FOREIGN_WRITES : FOREIGN_QUIET;
}

/* For how long the lock must be free after it was held for so long. */
static int64_t gap_for(enum foreign_kind kind, int64_t held_ms)
{
    if (kind == FOREIGN_QUIET)
        return LONG_GAP_MS;
    if (held_ms > CLOSE_MS)
        return held_ms < LONG_GAP_MS      ? LONG_GAP_MS
               : held_ms < LONGEST_GAP_MS ? held_ms
                                          : LONGEST_GAP_MS;
    return kind == FOREIGN_WRITES ? GAP_MS : held_ms;
}

/* How much holding is left to make good after a time in which the lock was free anyway. */
static int64_t less(int64_t held_ms, int64_t free_ms)
{
    return held_ms > free_ms ? held_ms - free_ms : 0;
}

int64_t foreign_gap(struct foreign *c, enum foreign_kind kind, int64_t began_ms, int64_t ended_ms)
{
    int64_t was_free = began_ms - c->ended_ms;

    c->held_ms = was_free >= gap_for(kind, c->held_ms) ? 0 : less(c->held_ms, was_free);
    c->long_held_ms = was_free >= LONG_GAP_MS ? 0 : less(c->long_held_ms, was_free);
    c->ended_ms = ended_ms;
    c->held_ms += ended_ms - began_ms;
    c->long_held_ms += ended_ms - began_ms;
    if (kind == FOREIGN_QUIET && c->was_alone)
        c->held_ms = hold_ms[kind];
    c->was_alone = kind == FOREIGN_NONE;
    if (kind >= FOREIGN_WRITES && c->long_held_ms >= LONG_AFTER_MS && c->held_ms < LONG_GAP_MS)
        return LONG_GAP_MS;
    return c->held_ms >= hold_ms[kind] ? gap_for(kind, c->held_ms) : 0;
}
