/* Which part of the window an outlet has. */
#include "check.h"
#include "rabbit/quota.h"

#include <stdio.h>
#include <string.h>

enum { WINDOW = 1000, FIRST = 16 };

static int64_t now_ms;
static struct quotas *quotas;
static char x_name[] = "x", y_name[] = "y", empty[] = "";
static const struct destination to_x = {EXCHANGE_FANOUT, x_name, empty};
static const struct destination to_y = {EXCHANGE_DEFAULT, empty, y_name};

static int64_t look(void *arg)
{
    (void)arg;
    return now_ms;
}

static void begin(void)
{
    now_ms = 1000;
    quotas = quotas_new(WINDOW, (struct clock){.wall_ms = look, .mono_ms = look}, NULL);
    assert_non_null(quotas);
}

static void end(void)
{
    quotas_free(&quotas);
}

/* As many rows as it may have now. */
static size_t fill(const struct destination *to)
{
    size_t n = 0;

    for (; quota_has_room(quotas, quota_of(quotas, to), now_ms); n++)
        quota_take(quotas, quota_of(quotas, to));
    return n;
}

static void settle(const struct destination *to, size_t n, enum publish_outcome outcome)
{
    for (size_t i = 0; i < n; i++)
        quota_settle(quotas, quota_of(quotas, to), outcome, now_ms);
}

static void prove(const struct destination *to)
{
    quota_take(quotas, quota_of(quotas, to));
    settle(to, 1, PUBLISH_CONFIRMED);
}

TEST_BETWEEN(begin, end, who_confirms_has_most_of_the_window)
{
    assert_int_equal(fill(&to_x), FIRST);
    settle(&to_x, 1, PUBLISH_CONFIRMED);
    assert_int_equal(FIRST - 1 + fill(&to_x), WINDOW * 7 / 8);
    prove(&to_y);
    assert_true(fill(&to_y) > FIRST); /* of what is left */
}

TEST_BETWEEN(begin, end, who_has_stopped_to_confirm_gets_no_more)
{
    prove(&to_x);
    for (int i = 0; i < 100; i++)
        quota_take(quotas, quota_of(quotas, &to_x));
    now_ms += 1001;
    assert_int_equal(fill(&to_x), 0);
    settle(&to_x, 1, PUBLISH_CONFIRMED);
    assert_int_not_equal(fill(&to_x), 0);
}

TEST_BETWEEN(begin, end, who_is_silent_is_probed_with_pauses_that_double)
{
    static const int64_t pauses[] = {1000,  2000,   4000,   8000,   16000, 32000,
                                     64000, 128000, 256000, 300000, 300000};
    char words[600];

    settle(&to_x, fill(&to_x), PUBLISH_TIMED_OUT);
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        assert_int_equal(quotas_due(quotas), now_ms + pauses[i]);
        now_ms += pauses[i] - 1;
        assert_int_equal(fill(&to_x), 0);
        now_ms++;
        quotas_step(quotas);
        assert_true(quotas_due(quotas) == INT64_MAX);
        assert_int_equal(fill(&to_x), 1);
        now_ms += 30000;
        settle(&to_x, 1, PUBLISH_TIMED_OUT);
    }
    settle(&to_y, fill(&to_y), PUBLISH_TIMED_OUT);
    snprintf(words, sizeof words, "%s", quotas_trouble(quotas));
    assert_non_null(
        strstr(words, "exchange \"x\" has confirmed nothing since 1970-01-01T00:00:01"));
    assert_non_null(strstr(words, "(and 1 more like it)"));
    now_ms += 300000;
    assert_int_equal(fill(&to_x), 1);
    settle(&to_x, 1, PUBLISH_CONFIRMED);
    assert_int_equal(fill(&to_x), WINDOW * 7 / 8);
    assert_non_null(strstr(quotas_trouble(quotas), "queue \"y\""));
}

/* The broker may be another one by now, or the same in order. */
TEST_BETWEEN(begin, end, a_new_link_is_a_new_chance)
{
    settle(&to_x, fill(&to_x), PUBLISH_TIMED_OUT);
    assert_int_equal(fill(&to_x), 0);
    quotas_hasten(quotas);
    assert_int_equal(quotas_due(quotas), now_ms);
    assert_int_equal(fill(&to_x), 1);
}

/* A hundred queues on a node that is gone: who works does not wait. */
TEST_BETWEEN(begin, end, many_silent_ones_leave_room_to_who_confirms)
{
    char name[16];
    const struct destination to = {EXCHANGE_DEFAULT, empty, name};

    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "q%d", i);
        (void)fill(&to);
    }
    assert_true(quotas_taken(quotas) < WINDOW);
    prove(&to_x);
    assert_true(fill(&to_x) > 0);
}

/* More outlets than are kept apart share one part; what is idle is forgotten first. */
TEST_BETWEEN(begin, end, publish_channels_without_number_are_bounded)
{
    char name[16];
    const struct destination to = {EXCHANGE_DEFAULT, empty, name};
    struct quota *kept = quota_of(quotas, &to_x);

    quota_take(quotas, kept);
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "q%d", i);
        assert_true(quota_has_room(quotas, quota_of(quotas, &to), now_ms));
    }
    assert_ptr_equal(quota_of(quotas, &to_x), kept);
    for (int i = 0; i < 1200; i++) {
        snprintf(name, sizeof name, "q%d", i);
        if (quota_has_room(quotas, quota_of(quotas, &to), now_ms))
            quota_take(quotas, quota_of(quotas, &to));
    }
    assert_true(quotas_taken(quotas) <= WINDOW);
}

TEST_BETWEEN(begin, end, a_window_of_one_serves_all)
{
    quotas_free(&quotas);
    quotas = quotas_new(1, (struct clock){.wall_ms = look, .mono_ms = look}, NULL);
    assert_int_equal(fill(&to_x), 1);
    assert_int_equal(fill(&to_y), 0);
    settle(&to_x, 1, PUBLISH_TIMED_OUT);
    assert_int_equal(fill(&to_x), 0);
    assert_int_equal(fill(&to_y), 1);
}
