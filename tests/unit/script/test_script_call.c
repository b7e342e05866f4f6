/* What a call lends, whose limit of time it has, and what comes back. */
#include "fake_host.h"

#include "script/script_call.h"

static void a_call_lends_the_message_until_its_end(void **state)
{
    struct scene s;
    uint64_t serial;

    (void)state;
    begin(&s);
    assert_string_equal(load(&s, ""), "");
    serial = s.script->call.serial;
    call_begin(s.script, &s.lent, 0);
    assert_ptr_equal(s.script->call.message, &s.lent);
    assert_int_equal(s.script->state->limit_ms, 200);
    call_end(s.script);
    assert_null(s.script->call.message);
    assert_int_equal(s.script->state->deadline_ms, INT64_MAX);
    call_begin(s.script, &s.lent, 70);
    assert_int_equal(s.script->state->limit_ms, 70);
    assert_int_equal(s.script->call.serial, serial + 2); /* what the first one lent is dead */
    call_end(s.script);
    end(&s);
}

/* Statements that an error left open are given back. */
static void the_end_gives_statements_back(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_int_equal(run(&s, "local a, b = tx:query 'count 3', tx:query 'count 3'\n"
                             "a() b() for row in tx:query 'count 9' do error 'left' end"),
                     SCRIPT_FAILED);
    assert_int_equal(s.fake.open, 0);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_lends_the_message_until_its_end),
        cmocka_unit_test(the_end_gives_statements_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
