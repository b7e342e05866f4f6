/* When a failed attempt is tried again, and when it is given up. */
#include "engine/policy.h"

#include "check.h"

static const struct retry_policy fixed = {
    .attempts = 3, .n_delays = 1, .delay_ms = {1000}, .factor = 1, .delay_max_ms = 3600000};

TEST(a_fixed_delay_ends_after_its_attempts)
{
    assert_int_equal(policy_delay(&fixed, 1, 0, 0.5), 1000);
    assert_int_equal(policy_delay(&fixed, 2, 0, 0.5), 1000);
    assert_int_equal(policy_delay(&fixed, 3, 0, 0.5), POLICY_GIVE_UP);
    assert_int_equal(policy_delay(&fixed, 4, 0, 0.5), POLICY_GIVE_UP);
}

TEST(a_list_is_followed_and_its_last_delay_repeats)
{
    const struct retry_policy p = {.attempts = 5,
                                   .n_delays = 3,
                                   .delay_ms = {100, 500, 2000},
                                   .factor = 1,
                                   .delay_max_ms = 3600000};

    assert_int_equal(policy_delay(&p, 1, 0, 0), 100);
    assert_int_equal(policy_delay(&p, 2, 0, 0), 500);
    assert_int_equal(policy_delay(&p, 3, 0, 0), 2000);
    assert_int_equal(policy_delay(&p, 4, 0, 0), 2000);
    assert_int_equal(policy_delay(&p, 5, 0, 0), POLICY_GIVE_UP);
}

TEST(an_exponential_delay_grows_to_its_ceiling)
{
    const struct retry_policy p = {
        .attempts = 1000000, .n_delays = 1, .delay_ms = {1000}, .factor = 2, .delay_max_ms = 60000};

    assert_int_equal(policy_delay(&p, 1, 0, 0), 1000);
    assert_int_equal(policy_delay(&p, 2, 0, 0), 2000);
    assert_int_equal(policy_delay(&p, 6, 0, 0), 32000);
    assert_int_equal(policy_delay(&p, 7, 0, 0), 60000);
    assert_int_equal(policy_delay(&p, 999999, 0, 0), 60000);
}

TEST(jitter_only_shortens)
{
    struct retry_policy p = fixed;

    p.jitter = 0.5;
    assert_int_equal(policy_delay(&p, 1, 0, 0), 1000);
    assert_int_equal(policy_delay(&p, 1, 0, 0.5), 750);
    assert_in_range(policy_delay(&p, 1, 0, 0.999), 500, 502);
}

TEST(age_gives_up_before_a_delay_that_would_exceed_it)
{
    struct retry_policy p = fixed;

    p.max_age_ms = 5000;
    assert_int_equal(policy_delay(&p, 1, 4000, 0), 1000);
    assert_int_equal(policy_delay(&p, 1, 4001, 0), POLICY_GIVE_UP);
}
