/* When a failed attempt is tried again, and when it is given up. */
#include "engine/policy.h"

#include "check.h"

static const struct retry_policy fixed = {
    .attempts = 3, .n_delays = 1, .delay_ms = {1000}, .factor = 1, .delay_max_ms = 3600000};

static void a_fixed_delay_ends_after_its_attempts(void **state)
{
    (void)state;
    assert_int_equal(policy_delay(&fixed, 1, 0, 0.5), 1000);
    assert_int_equal(policy_delay(&fixed, 2, 0, 0.5), 1000);
    assert_int_equal(policy_delay(&fixed, 3, 0, 0.5), POLICY_GIVE_UP);
    assert_int_equal(policy_delay(&fixed, 4, 0, 0.5), POLICY_GIVE_UP);
}

static void a_list_is_followed_and_its_last_delay_repeats(void **state)
{
    const struct retry_policy p = {.attempts = 5,
                                   .n_delays = 3,
                                   .delay_ms = {100, 500, 2000},
                                   .factor = 1,
                                   .delay_max_ms = 3600000};

    (void)state;
    assert_int_equal(policy_delay(&p, 1, 0, 0), 100);
    assert_int_equal(policy_delay(&p, 2, 0, 0), 500);
    assert_int_equal(policy_delay(&p, 3, 0, 0), 2000);
    assert_int_equal(policy_delay(&p, 4, 0, 0), 2000);
    assert_int_equal(policy_delay(&p, 5, 0, 0), POLICY_GIVE_UP);
}

static void an_exponential_delay_grows_to_its_ceiling(void **state)
{
    const struct retry_policy p = {
        .attempts = 1000000, .n_delays = 1, .delay_ms = {1000}, .factor = 2, .delay_max_ms = 60000};

    (void)state;
    assert_int_equal(policy_delay(&p, 1, 0, 0), 1000);
    assert_int_equal(policy_delay(&p, 2, 0, 0), 2000);
    assert_int_equal(policy_delay(&p, 6, 0, 0), 32000);
    assert_int_equal(policy_delay(&p, 7, 0, 0), 60000);
    assert_int_equal(policy_delay(&p, 999999, 0, 0), 60000);
}

static void jitter_only_shortens(void **state)
{
    struct retry_policy p = fixed;

    (void)state;
    p.jitter = 0.5;
    assert_int_equal(policy_delay(&p, 1, 0, 0), 1000);
    assert_int_equal(policy_delay(&p, 1, 0, 0.5), 750);
    assert_in_range(policy_delay(&p, 1, 0, 0.999), 500, 502);
}

static void age_gives_up_before_a_delay_that_would_exceed_it(void **state)
{
    struct retry_policy p = fixed;

    (void)state;
    p.max_age_ms = 5000;
    assert_int_equal(policy_delay(&p, 1, 4000, 0), 1000);
    assert_int_equal(policy_delay(&p, 1, 4001, 0), POLICY_GIVE_UP);
}

static void a_refused_row_is_tried_for_hours(void **state)
{
    int64_t all = 0;

    (void)state;
    for (int i = 1; i < 50; i++)
        all += policy_delay(&policy_publish, i, INT64_C(1) << 50, 0);
    assert_in_range(all, 3 * 3600 * 1000, 4 * 3600 * 1000);
    assert_in_range(policy_delay(&policy_publish, 49, 0, 0.5), 240000, 300000);
    assert_int_equal(policy_delay(&policy_publish, 50, 0, 0.5), POLICY_GIVE_UP);
}

static void chances_repeat_with_their_seed(void **state)
{
    struct chance a, b;

    (void)state;
    chance_seed(&a, 7);
    chance_seed(&b, 7);
    for (int i = 0; i < 1000; i++) {
        double x = chance_draw(&a);

        assert_true(x >= 0 && x < 1);
        assert_true(x == chance_draw(&b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fixed_delay_ends_after_its_attempts),
        cmocka_unit_test(a_list_is_followed_and_its_last_delay_repeats),
        cmocka_unit_test(an_exponential_delay_grows_to_its_ceiling),
        cmocka_unit_test(jitter_only_shortens),
        cmocka_unit_test(age_gives_up_before_a_delay_that_would_exceed_it),
        cmocka_unit_test(a_refused_row_is_tried_for_hours),
        cmocka_unit_test(chances_repeat_with_their_seed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
