/* check - see check.h. */
#include "check.h"

#include <stdlib.h>

/* More than any program has: the rest stays empty, and cmocka passes over it. */
static struct CMUnitTest tests[100];
static size_t n_tests;

void check_list(struct CMUnitTest test)
{
    if (n_tests == sizeof tests / sizeof tests[0])
        abort();
    tests[n_tests++] = test;
}

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
