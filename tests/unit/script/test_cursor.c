/* tx:query: whatever becomes of the loop, its statement is given back. */
#include "fake_host.h"

TEST_WITH(scene, a_query_is_dead_once_its_handler_returned)
{
    assert_string_equal(load(f, "local kept\n"
                                "require 'herald'.on('*', '*', function(msg, tx)\n"
                                "  if kept then kept() end\n"
                                "  kept = tx:query('count 3')\n"
                                "  assert(kept().n == 1)\n"
                                "end)"),
                        "");
    assert_int_equal(again(f), SCRIPT_DONE); /* `again` looks for open statements */
    assert_int_equal(again(f), SCRIPT_FAILED);
    assert_string_equal(f->out.error, "rules/a.lua:3: query used after its handler returned");
}

TEST_WITH(scene, statements_left_open_are_given_back)
{
    RUNS(f, "for row in tx:query 'count 3' do break end\n"
            "tx:query('count 3')() tx:query('count 2')()");
    assert_int_equal(run(f, "for row in tx:query 'count 3' do error 'in a loop' end"),
                     SCRIPT_FAILED);
    assert_int_equal(run(f, "for row in tx:query 'count 3' do while true do end end"),
                     SCRIPT_FAILED);
}
