/*
 * foreign - other processes that write to the store, and what is left free for them
 *
 * SQLite's lock knows no queue: who waits for it asks now and then, after about 0, 1, 3, 8, 18,
 * 33, 53, 78, 103, 128, 178 and 228 ms, then every 100 ms, until its time-out. What is left free
 * must hold one of these moments, wherever they fall. Nobody can tell that somebody waits before
 * he has committed, so it is enough that he has the store open:
 *
 *   QUIET   the lock is free for over 100 ms when he comes, and after each 4.2 s of holding it, so
 *           that one who only reads costs little, and one who writes finds it within 5 s
 *   WRITES  free for 30 ms after each 40 ms: his moments are 25 ms apart at first
 *   BUSY    free for as long as it was held, after 5 ms already: he is used to short waits
 *
 * What was held for so long that his moments are further apart by then is followed by over
 * 100 ms; so is every half second, should a busy machine let him miss the shorter gaps.
 */
#ifndef HERALD_ENGINE_FOREIGN_H
#define HERALD_ENGINE_FOREIGN_H

#include <stdbool.h>
#include <stdint.h>

enum foreign_kind {
    FOREIGN_NONE,   /* nobody else has the store open */
    FOREIGN_QUIET,  /* somebody has, and did not commit for a minute */
    FOREIGN_WRITES, /* somebody committed in the last minute */
    FOREIGN_BUSY,   /* in the last 2 s */
};

/* `is_there`: another process has the store open; `seen_ms`: monotonic, when a commit of
 * another's was seen last, -1: never. */
enum foreign_kind foreign_kind(bool is_there, int64_t seen_ms, int64_t now_ms);

/* Zeroed at first. */
struct foreign {
    int64_t ended_ms;     /* monotonic: when the lock was let go last */
    int64_t held_ms;      /* since it was free for long enough */
    int64_t long_held_ms; /* since it was free for long */
    bool was_alone;       /* nobody else was there the last time */
};

/* The lock was held from `began_ms` to `ended_ms`. For how long it must be free now, in ms. */
int64_t foreign_gap(struct foreign *c, enum foreign_kind kind, int64_t began_ms, int64_t ended_ms);

#endif
