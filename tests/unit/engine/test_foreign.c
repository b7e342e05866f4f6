/* Whoever waits for the store finds it free, whenever he began to wait, beside turns of any
 * length. He asks when SQLite's busy handler does. */
#include "engine/foreign.h"

#include "check.h"

#include <stdbool.h>

enum { SPANS = 1500, ARRIVALS = 3000, TIME_OUT_MS = 5000 };

/* When the store is free, in order. */
struct timeline {
    int64_t from[SPANS], to[SPANS];
};

/* A router that has work without end, in turns that hold the lock for so long each. */
static void play(struct timeline *t, enum foreign_kind kind, int64_t hold_ms)
{
    struct foreign c = {.ended_ms = 0};
    int64_t now = 1000;

    for (int i = 0; i < SPANS; i++) {
        do {
            now += hold_ms;
            t->from[i] = now;
            t->to[i] = now + foreign_gap(&c, kind, now - hold_ms, now);
        } while (t->to[i] == now);
        now = t->to[i];
    }
}

static bool is_free(const struct timeline *t, int64_t at)
{
    for (int i = 0; i < SPANS && t->from[i] <= at; i++)
        if (at < t->to[i])
            return true;
    return false;
}

/* For how long he waits; -1: SQLITE_BUSY. */
static int64_t wait_from(const struct timeline *t, int64_t arrival)
{
    static const int pauses[] = {1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50, 100};
    int64_t waited = 0;

    for (int i = 0; waited <= TIME_OUT_MS; i++) {
        if (is_free(t, arrival + waited))
            return waited;
        waited += pauses[i < 11 ? i : 11];
    }
    return -1;
}

static void everybody_finds_it(enum foreign_kind kind, int64_t hold_ms, int64_t within_ms)
{
    static struct timeline t;

    play(&t, kind, hold_ms);
    for (int64_t arrival = 1000; arrival < 1000 + ARRIVALS; arrival++) {
        int64_t waited = wait_from(&t, arrival);

        if (waited < 0 || waited > within_ms)
            fail_msg("turns of %d ms: who came after %d ms waited %d", (int)hold_ms,
                     (int)arrival - 1000, (int)waited);
    }
}

TEST(who_never_committed_is_served_within_his_time_out)
{
    for (int64_t hold = 1; hold <= 250; hold += 3)
        everybody_finds_it(FOREIGN_QUIET, hold, 4800);
}

TEST(who_commits_now_and_then_waits_for_less_than_a_quarter_of_a_second)
{
    for (int64_t hold = 1; hold <= 150; hold++)
        everybody_finds_it(FOREIGN_WRITES, hold, 250);
}

TEST(who_commits_again_and_again_waits_for_little_more_than_a_turn)
{
    for (int64_t hold = 1; hold <= 150; hold++)
        everybody_finds_it(FOREIGN_BUSY, hold, hold < 20 ? 40 : hold < 60 ? 80 : 180);
}

TEST(who_comes_finds_it_free_after_the_turn_at_hand)
{
    struct foreign c = {.ended_ms = 0};

    assert_int_equal(foreign_gap(&c, FOREIGN_NONE, 1000, 1040), 0);
    assert_true(foreign_gap(&c, FOREIGN_QUIET, 1040, 1080) > 100);
    assert_int_equal(foreign_gap(&c, FOREIGN_QUIET, 1200, 1240), 0);
}

TEST(who_only_reads_costs_little)
{
    struct foreign c = {.ended_ms = 0};
    int64_t now = 1000, free = 0;

    while (now < 101000) {
        int64_t gap = foreign_gap(&c, FOREIGN_QUIET, now, now + 40);

        free += gap;
        now += 40 + gap;
    }
    assert_in_range(free, 1000, 3000); /* of 100 s */
}

TEST(nothing_is_left_free_for_nobody)
{
    struct foreign c = {.ended_ms = 0};

    for (int64_t now = 0; now < 100000; now += 100)
        assert_int_equal(foreign_gap(&c, FOREIGN_NONE, now, now + 100), 0);
}

TEST(a_store_that_is_mostly_free_is_left_free_no_longer)
{
    struct foreign c = {.ended_ms = 0};

    for (int64_t now = 1000; now < 100000; now += 50) {
        assert_int_equal(foreign_gap(&c, FOREIGN_QUIET, now, now + 4), 0);
        assert_int_equal(foreign_gap(&c, FOREIGN_WRITES, now, now + 4), 0);
    }
}

TEST(who_is_there_is_known_by_his_lock_or_by_a_late_commit)
{
    assert_int_equal(foreign_kind(false, -1, 100000), FOREIGN_NONE);
    assert_int_equal(foreign_kind(true, -1, 100000), FOREIGN_QUIET);
    assert_int_equal(foreign_kind(false, 99000, 100000), FOREIGN_BUSY);
    assert_int_equal(foreign_kind(true, 99000, 100000), FOREIGN_BUSY);
    assert_int_equal(foreign_kind(true, 97500, 100000), FOREIGN_WRITES);
    assert_int_equal(foreign_kind(false, 97500, 100000), FOREIGN_NONE);
    assert_int_equal(foreign_kind(true, 30000, 100000), FOREIGN_QUIET);
}
