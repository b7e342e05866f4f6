/* How long channels rest before they try again. */
#include "base/backoff.h"
#include "check.h"

#include <stddef.h>

TEST(rests_double_up_to_the_ceiling_with_jitter)
{
    struct backoff b;
    const int64_t ceiling[] = {100, 200, 400, 800, 1000, 1000, 1000};

    backoff_init(&b, 100, 1000, 7);
    for (size_t i = 0; i < sizeof ceiling / sizeof ceiling[0]; i++) {
        int64_t rest = backoff_next(&b);

        assert_true(rest <= ceiling[i]);
        assert_true(rest >= ceiling[i] / 2);
    }
}

TEST(success_makes_the_next_rest_short)
{
    struct backoff b;

    backoff_init(&b, 100, 1000, 7);
    for (int i = 0; i < 100; i++)
        assert_true(backoff_next(&b) > 0);
    backoff_reset(&b);
    assert_true(backoff_next(&b) <= 100);
}

TEST(nonsense_settings_still_rest)
{
    struct backoff b;

    backoff_init(&b, 0, -5, 0);
    assert_int_equal(backoff_next(&b), 1);
    assert_int_equal(backoff_next(&b), 1);
}
