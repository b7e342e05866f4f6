/* How long channels rest before they try again. */
#include "rabbit/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void rests_double_up_to_the_ceiling_with_jitter(void **state)
{
    struct backoff b;
    const int64_t ceiling[] = {100, 200, 400, 800, 1000, 1000, 1000};

    (void)state;
    backoff_init(&b, 100, 1000, 7);
    for (size_t i = 0; i < sizeof ceiling / sizeof ceiling[0]; i++) {
        int64_t rest = backoff_next(&b);

        assert_true(rest <= ceiling[i]);
        assert_true(rest >= ceiling[i] / 2);
    }
}

static void success_makes_the_next_rest_short(void **state)
{
    struct backoff b;

    (void)state;
    backoff_init(&b, 100, 1000, 7);
    for (int i = 0; i < 100; i++)
        assert_true(backoff_next(&b) > 0);
    backoff_reset(&b);
    assert_true(backoff_next(&b) <= 100);
}

static void nonsense_settings_still_rest(void **state)
{
    struct backoff b;

    (void)state;
    backoff_init(&b, 0, -5, 0);
    assert_int_equal(backoff_next(&b), 1);
    assert_int_equal(backoff_next(&b), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rests_double_up_to_the_ceiling_with_jitter),
        cmocka_unit_test(success_makes_the_next_rest_short),
        cmocka_unit_test(nonsense_settings_still_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
