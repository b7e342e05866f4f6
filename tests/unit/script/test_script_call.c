/* What a call lends, whose limit of time it has, and what comes back. */
#include "fake_host.h"

#include "script/script_call.h"

TEST_WITH(scene, a_call_lends_the_message_until_its_end)
{
    uint64_t serial;

    assert_string_equal(load(f, ""), "");
    serial = f->script->call.serial;
    call_begin(f->script, &f->lent, 0);
    assert_ptr_equal(f->script->call.message, &f->lent);
    assert_int_equal(f->script->state->limit_ms, 200);
    call_end(f->script);
    assert_null(f->script->call.message);
    assert_int_equal(f->script->state->deadline_ms, INT64_MAX);
    call_begin(f->script, &f->lent, 70);
    assert_int_equal(f->script->state->limit_ms, 70);
    assert_int_equal(f->script->call.serial, serial + 2); /* what the first one lent is dead */
    call_end(f->script);
}

/* Statements that an error left open are given back. */
TEST_WITH(scene, the_end_gives_statements_back)
{
    assert_int_equal(run(f, "local a, b = tx:query 'count 3', tx:query 'count 3'\n"
                            "a() b() for row in tx:query 'count 9' do error 'left' end"),
                     SCRIPT_FAILED);
    assert_int_equal(f->fake.open, 0);
}
