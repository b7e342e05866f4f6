/* Which queue comes next, by the time that each was given. */
#include "engine/fair.h"

#include "check.h"

#include <stdbool.h>
#include <stdio.h>

static struct fair fair;

static void begin(void)
{
    fair = (struct fair){.n = 0};
}

static struct slice name(int i)
{
    static char text[16];

    snprintf(text, sizeof text, "q%d", i);
    return slice_of(text);
}

/* Serves whoever stands the furthest behind; queue i takes took[i] ms. Returns who it was. */
static int serve_next(const int *took, int n)
{
    int next = 0;

    for (int i = 1; i < n; i++)
        if (fair_at(&fair, name(i)) < fair_at(&fair, name(next)))
            next = i;
    (void)fair_served(&fair, name(next), took[next]);
    return next;
}

TEST_BETWEEN(begin, check_nothing, slow_and_quick_queues_are_given_the_same_time)
{
    static const int took[] = {100, 5, 20};
    int served[3] = {0};

    for (int i = 0; i < 260; i++)
        served[serve_next(took, 3)]++;
    assert_int_equal(served[0], 10);
    assert_int_equal(served[1], 200);
    assert_int_equal(served[2], 50);
}

TEST_BETWEEN(begin, check_nothing, a_queue_that_had_nothing_to_do_saves_no_time_up)
{
    static const int took[] = {10, 10};
    int served[2] = {0};

    for (int i = 0; i < 100; i++)
        (void)fair_served(&fair, name(0), 10);
    for (int i = 0; i < 20; i++)
        served[serve_next(took, 2)]++;
    assert_in_range(served[1], 10, 11);
}

TEST_BETWEEN(begin, check_nothing, one_message_at_a_time_is_no_way_around)
{
    int served[2] = {0};

    for (int i = 0; i < 200; i++) { /* queue 0 is slow, and often has nothing */
        bool there = i % 2 == 0;
        int next = there && fair_at(&fair, name(0)) <= fair_at(&fair, name(1)) ? 0 : 1;

        (void)fair_served(&fair, name(next), next == 0 ? 100 : 10);
        served[next]++;
    }
    assert_in_range(served[0], 10, 20);
}

TEST_BETWEEN(begin, check_nothing, as_many_queues_as_there_are_accounts_take_turns)
{
    enum { QUEUES = FAIR_ACCOUNTS };
    static int64_t at[QUEUES];
    static int served[QUEUES];

    for (int i = 0; i < 3 * QUEUES; i++) {
        int next = 0;

        for (int k = 1; k < QUEUES; k++)
            if (at[k] < at[next])
                next = k;
        at[next] = fair_served(&fair, name(next), 1);
        served[next]++;
    }
    for (int i = 0; i < QUEUES; i++) {
        assert_int_equal(served[i], 3);
        assert_int_equal(fair_at(&fair, name(i)), 3);
    }
}
