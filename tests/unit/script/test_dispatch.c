/* What a handler may do to a call, and what comes out of it. */
#include "fake_host.h"

static void a_handler_that_returns_is_done(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_int_equal(run(&s, "return 'whatever'"), SCRIPT_DONE);
    assert_string_equal(s.out.error, "");
    assert_string_equal(s.out.traceback, "");
    assert_int_equal(s.out.code, OK);
    end(&s);
}

static void an_error_names_file_and_line_and_has_a_traceback(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    FAILS(&s, "local function deep() error('no course') end\ndeep()", "rules/a.lua:3: no course");
    assert_string_equal(s.out.traceback, "rules/a.lua:3 in 'deep'\n"
                                         "rules/a.lua:4 in the function of line 2");
    end(&s);
}

static void a_call_after_a_failed_one_starts_afresh(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_string_equal(load(&s, "local n = 0\n"
                                 "require 'herald'.on('*', '*', function(msg, tx)\n"
                                 "  n = n + 1\n"
                                 "  if n == 1 then error('once') end\n"
                                 "  if n == 2 then while true do end end\n"
                                 "  if n == 3 then tx:exec('lose') end\n"
                                 "  for i = 1, 5000 do local x = i end\n"
                                 "end)"),
                        "");
    assert_int_equal(again(&s), SCRIPT_FAILED);
    assert_int_equal(again(&s), SCRIPT_FAILED);
    assert_int_equal(again(&s), SCRIPT_TX_LOST);
    assert_int_equal(again(&s), SCRIPT_DONE);
    assert_string_equal(s.out.error, "");
    end(&s);
}

static void a_lost_transaction_ends_the_handler_beyond_its_pcall(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_int_equal(run(&s, "while true do pcall(tx.exec, tx, 'lose') end"), SCRIPT_TX_LOST);
    assert_int_equal(s.out.code, ERR_TX_LOST);
    assert_string_equal(s.out.error, "rules/a.lua:3: the statement ended the transaction");
    assert_int_equal(run(&s, "return pcall(tx.exec, tx, 'lose')"), SCRIPT_TX_LOST);
    assert_int_equal(run(&s, "pcall(tx.exec, tx, 'lose') tx:emit { type = 'x' }"), SCRIPT_TX_LOST);
    assert_int_equal(s.fake.emits, 0);
    end(&s);
}

static void after_a_host_failure_nothing_reaches_the_host(void **state)
{
    static const char *const ways[] = {
        "xpcall(tx.exec, function() tx:emit { type = 'x' } end, tx, 'full')",
        "local c <close> = setmetatable({}, { __close = function() tx:emit { type = 'x' } end })\n"
        "tx:exec 'full'",
        "local co = coroutine.create(function() tx:exec 'full' end)\n"
        "coroutine.resume(co) tx:emit { type = 'x' }",
        "local f = coroutine.wrap(function() pcall(tx.exec, tx, 'full') tx:emit { type = 'x' } "
        "end)\n"
        "pcall(f) tx:emit { type = 'x' }",
        "return pcall(pcall, tx.exec, tx, 'full')",
        "local t = setmetatable({}, { __index = function() tx:exec 'full' end })\n"
        "pcall(function() return t.x end) herald.reject 'no'",
    };
    struct scene s;

    (void)state;
    begin(&s);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        assert_int_equal(run(&s, ways[i]), SCRIPT_ENVIRONMENT);
        assert_int_equal(s.out.code, ERR_FULL);
        assert_non_null(strstr(s.out.error, "database or disk is full"));
        assert_int_equal(s.fake.emits, 0);
    }
    end(&s);
}

static void a_failing_emit_of_the_environment_ends_it_too(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    s.fake.emit_code = ERR_IO;
    assert_int_equal(run(&s, "pcall(tx.emit, tx, { type = 'x' }) error('mine')"),
                     SCRIPT_ENVIRONMENT);
    assert_int_equal(s.out.code, ERR_IO);
    s.fake.emit_code = ERR_INPUT; /* the handler's mistake */
    FAILS(&s, "tx:emit { type = 'x' }", "rules/a.lua:3: tx:emit: no emit today");
    end(&s);
}

static void a_memory_hog_asks_for_a_new_state(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    s.settings.handler_ms = 100000;
    assert_int_equal(run(&s, "local t = {} for i = 1, 1e9 do t[i] = { i } end"), SCRIPT_NOMEM);
    assert_string_equal(s.out.traceback, "");
    assert_int_equal(run(&s, "local s = 'x' while true do s = s .. s end"), SCRIPT_NOMEM);
    assert_int_equal(script_rebuild(&s.script, &s.err), OK);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handler_that_returns_is_done),
        cmocka_unit_test(an_error_names_file_and_line_and_has_a_traceback),
        cmocka_unit_test(a_call_after_a_failed_one_starts_afresh),
        cmocka_unit_test(a_lost_transaction_ends_the_handler_beyond_its_pcall),
        cmocka_unit_test(after_a_host_failure_nothing_reaches_the_host),
        cmocka_unit_test(a_failing_emit_of_the_environment_ends_it_too),
        cmocka_unit_test(a_memory_hog_asks_for_a_new_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
