/* The small change of the module herald. */
#include "fake_host.h"

static void clock_and_environment_are_there(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    setenv("HERALD_TEST_VALUE", "yes", 1);
    RUNS(&s, "assert(herald.now() == 1700000000123 and math.type(herald.now()) == 'integer')\n"
             "assert(herald.env 'HERALD_TEST_VALUE' == 'yes')\n"
             "assert(herald.env 'HERALD_TEST_NONE' == nil)");
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_and_environment_are_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
