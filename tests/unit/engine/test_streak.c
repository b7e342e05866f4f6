/* When a queue counts as one on which every message fails alike. */
#include "engine/streak.h"

#include "check.h"

#include <stdio.h>

static struct pauses all;

static struct pause *q(void)
{
    return pauses_find(&all, slice_of("q"));
}

static enum pause_answer failed(struct pause_failure f)
{
    enum pause_answer answer;
    struct err err = {0};

    f.queue = f.queue.data != NULL ? f.queue : slice_of("q");
    f.after = f.after != 0 ? f.after : 3;
    f.error = "no such column: x";
    assert_int_equal(pauses_failed(&all, &f, &answer, &err), OK);
    return answer;
}

/* The first try of a message of the queue "q" that came from the broker. */
static enum pause_answer first(uint64_t key, int64_t group, int64_t now_ms)
{
    return failed((struct pause_failure){
        .group = group, .key = key, .first = true, .delivery = true, .now_ms = now_ms});
}

/* A later try of a row. */
static enum pause_answer again(uint64_t key, int64_t group, int64_t now_ms)
{
    return failed((struct pause_failure){.group = group, .key = key, .now_ms = now_ms});
}

static void pause_at(int64_t now_ms)
{
    assert_int_equal(first(1, 7, now_ms), PAUSE_COUNTS);
    assert_int_equal(first(2, 7, now_ms), PAUSE_COUNTS);
    assert_int_equal(first(3, 7, now_ms), PAUSE_BEGINS);
    pauses_keep(&all);
}

static void clear(void)
{
    pauses_clear(&all);
}

TEST_BETWEEN(check_nothing, clear, distinct_messages_in_a_row_make_a_pause)
{
    assert_true(pause_takes(q()));
    pause_at(5000);
    assert_false(pause_takes(q()));
    assert_int_equal(pause_pace(q()), PACE_STOP);
    assert_int_equal(q()->now.failures, 3);
    assert_int_equal(q()->now.since_ms, 5000);
    assert_int_equal(q()->now.probe_at, 5000 + PAUSE_PROBE_MIN_MS);
    assert_string_equal(q()->now.error, "no such column: x");
    assert_int_equal(pauses_next(&all), 6000);
}

TEST_BETWEEN(check_nothing, clear, one_poison_message_is_not_every_message)
{
    for (int i = 0; i < 100; i++)
        assert_int_equal(first(1, 7, i), PAUSE_COUNTS); /* replayed time and again */
    assert_false(q()->now.paused);
    assert_int_equal(q()->now.n, 1);
}

TEST_BETWEEN(check_nothing, clear, later_tries_neither_make_nor_break_a_streak)
{
    for (uint64_t key = 100; key < 200; key++)
        assert_int_equal(again(key, 7, 0), PAUSE_COUNTS);
    assert_null(q());
    first(1, 7, 0);
    first(2, 7, 0);
    assert_int_equal(again(100, 8, 0), PAUSE_COUNTS);
    assert_int_equal(again(101, 7, 0), PAUSE_COUNTS);
    assert_int_equal(first(3, 7, 0), PAUSE_BEGINS);
}

TEST_BETWEEN(check_nothing, clear, another_error_begins_another_streak)
{
    first(1, 7, 0);
    first(2, 7, 0);
    assert_int_equal(first(3, 8, 0), PAUSE_COUNTS);
    assert_int_equal(first(4, 7, 0), PAUSE_COUNTS);
    assert_int_equal(first(5, 7, 0), PAUSE_COUNTS);
    assert_int_equal(first(6, 7, 0), PAUSE_BEGINS);
}

TEST_BETWEEN(check_nothing, clear, what_is_handled_ends_a_streak)
{
    first(1, 7, 0);
    first(2, 7, 0);
    assert_false(pause_passed(q()));
    assert_int_equal(q()->now.n, 0);
    assert_int_equal(first(3, 7, 0), PAUSE_COUNTS);
    assert_false(pause_passed(NULL));
}

TEST_BETWEEN(check_nothing, clear, queues_do_not_know_of_each_other)
{
    struct pause_failure other = {
        .queue = slice_of("qq"), .group = 7, .key = 3, .first = true, .after = 2};

    first(1, 7, 0);
    first(2, 7, 0);
    assert_int_equal(failed(other), PAUSE_COUNTS);
    other.key = 4;
    assert_int_equal(failed(other), PAUSE_BEGINS); /* it has a number of its own */
    assert_true(pause_takes(q()));
    assert_false(pause_takes(pauses_find(&all, slice_of("qq"))));
    assert_int_equal(first(3, 7, 0), PAUSE_BEGINS);
}

TEST_BETWEEN(check_nothing, clear, nothing_pauses_where_it_is_off)
{
    const struct pause_failure f = {.queue = slice_of("q"), .first = true, .error = "x"};
    enum pause_answer answer;
    struct err err = {0};

    assert_int_equal(pauses_failed(&all, &f, &answer, &err), OK);
    assert_int_equal(answer, PAUSE_COUNTS);
    assert_null(q());
}

TEST_BETWEEN(check_nothing, clear, rows_wait_for_the_probe)
{
    assert_int_equal(pause_defers(NULL, 5000), 0);
    pause_at(5000);
    assert_int_equal(pause_defers(q(), 5999), 6000);
    assert_int_equal(pause_defers(q(), 6000), 0); /* this one is the probe */
    assert_int_equal(again(1, 7, 6000), PAUSE_ALIKE);
    assert_int_equal(pause_defers(q(), 6000), 8000); /* the others go on waiting */
    assert_int_equal(q()->now.failures, 4);
}

TEST_BETWEEN(check_nothing, clear, the_time_between_probes_doubles_to_about_a_minute)
{
    int64_t now = 6000, gap = 2000;

    pause_at(5000);
    for (int i = 0; i < 12; i++) {
        again(1, 7, now);
        assert_int_equal(q()->now.probe_at - now, gap);
        now = q()->now.probe_at;
        gap = gap * 2 < PAUSE_PROBE_MAX_MS ? gap * 2 : PAUSE_PROBE_MAX_MS;
    }
    assert_int_equal(gap, PAUSE_PROBE_MAX_MS);
}

TEST_BETWEEN(check_nothing, clear, a_failed_row_asks_for_a_delivery)
{
    pause_at(5000);
    again(1, 7, 6000);
    assert_true(pause_takes(q()));
    assert_int_equal(pause_pace(q()), PACE_ONE);
    assert_int_equal(first(9, 7, 6500), PAUSE_ALIKE);
    assert_false(pause_takes(q()));
    assert_int_equal(pause_pace(q()), PACE_STOP);
    assert_int_equal(q()->now.probe_at, 8000); /* as before: a row again */
    again(1, 7, 8000);
    assert_int_equal(first(10, 7, 99000), PAUSE_ALIKE); /* it came late */
    assert_true(q()->now.probe_at > 99000);
}

TEST_BETWEEN(check_nothing, clear, one_delivery_is_all_that_is_asked_for)
{
    pause_took(NULL);
    pause_at(5000);
    again(1, 7, 6000);
    pause_took(q()); /* a duplicate, say */
    assert_int_equal(pause_pace(q()), PACE_STOP);
    pause_passed(q());
    pause_took(q());
    assert_true(pause_takes(q()));
}

TEST_BETWEEN(check_nothing, clear, where_no_row_is_a_delivery_is_asked_for)
{
    pause_at(5000);
    pause_asks(q(), 5999);
    assert_false(pause_takes(q()));
    pause_asks(q(), 6000);
    assert_true(pause_takes(q()));
    assert_int_equal(q()->now.probe_at, 8000); /* nobody spins */
    pause_passed(q());
    pause_asks(q(), 9000);
    assert_int_equal(pause_pace(q()), PACE_FLOW);
}

TEST_BETWEEN(check_nothing, clear, a_probe_that_works_ends_the_pause)
{
    pause_at(5000);
    assert_true(pause_passed(q()));
    assert_int_equal(pause_pace(q()), PACE_FLOW);
    assert_int_equal(pause_defers(q(), 5000), 0);
    assert_int_equal(pauses_next(&all), INT64_MAX);
    assert_int_equal(first(4, 7, 0), PAUSE_COUNTS);
}

TEST_BETWEEN(check_nothing, clear, a_probe_that_fails_otherwise_ends_the_pause)
{
    pause_at(5000);
    assert_int_equal(again(1, 8, 6000), PAUSE_ENDS);
    assert_true(pause_takes(q()));
    pause_at(7000);
    again(1, 7, 8000);
    assert_int_equal(first(9, 8, 8000), PAUSE_ENDS);
    assert_int_equal(q()->now.n, 1); /* of the next streak */
}

TEST_BETWEEN(check_nothing, clear, a_turn_that_is_undone_leaves_no_trace)
{
    first(1, 7, 0);
    pauses_keep(&all);
    first(2, 7, 0);
    pause_dead_lettered(q(), 1, 0, 55);
    assert_int_equal(first(3, 7, 0), PAUSE_BEGINS);
    pauses_undo(&all);
    assert_false(q()->now.paused);
    assert_int_equal(q()->now.n, 1);
    assert_int_equal(q()->members[0].letter, 0);
    pause_passed(q());
    pauses_undo(&all);
    assert_int_equal(q()->now.n, 1);
    assert_int_equal(first(2, 7, 0), PAUSE_COUNTS);
    assert_int_equal(first(3, 7, 0), PAUSE_BEGINS);
}

TEST_BETWEEN(check_nothing, clear, dead_letters_of_a_streak_are_known)
{
    first(1, 7, 0);
    pause_dead_lettered(q(), 1, 0, 55);
    pause_dead_lettered(q(), 2, 0, 56); /* no member */
    pause_dead_lettered(NULL, 2, 0, 56);
    first(1, 7, 0);
    assert_int_equal(q()->members[0].letter, 55);
    assert_int_equal(q()->now.n, 1);
    first(2, 8, 0); /* another streak has its own */
    assert_int_equal(q()->members[0].letter, 0);
}

TEST_BETWEEN(check_nothing, clear, a_hurried_probe_is_due_at_once)
{
    pause_at(5000);
    pause_hurries(q(), 5100);
    assert_int_equal(pauses_next(&all), 5100);
    pauses_undo(&all);
    assert_int_equal(pauses_next(&all), 6000);
    pause_passed(q());
    pause_hurries(q(), 5100);
    assert_int_equal(pauses_next(&all), INT64_MAX);
}
