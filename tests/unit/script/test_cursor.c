/* tx:query: whatever becomes of the loop, its statement is given back. */
#include "fake_host.h"

static void a_query_is_dead_once_its_handler_returned(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_string_equal(load(&s, "local kept\n"
                                 "require 'herald'.on('*', '*', function(msg, tx)\n"
                                 "  if kept then kept() end\n"
                                 "  kept = tx:query('count 3')\n"
                                 "  assert(kept().n == 1)\n"
                                 "end)"),
                        "");
    assert_int_equal(again(&s), SCRIPT_DONE); /* `again` looks for open statements */
    assert_int_equal(again(&s), SCRIPT_FAILED);
    assert_string_equal(s.out.error, "rules/a.lua:3: query used after its handler returned");
    end(&s);
}

static void statements_left_open_are_given_back(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    RUNS(&s, "for row in tx:query 'count 3' do break end\n"
             "tx:query('count 3')() tx:query('count 2')()");
    assert_int_equal(run(&s, "for row in tx:query 'count 3' do error 'in a loop' end"),
                     SCRIPT_FAILED);
    assert_int_equal(run(&s, "for row in tx:query 'count 3' do while true do end end"),
                     SCRIPT_FAILED);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_is_dead_once_its_handler_returned),
        cmocka_unit_test(statements_left_open_are_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
