/* What a handler may do to a call, and what comes out of it. */
#include "fake_host.h"

static void a_handler_that_returns_is_done(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_int_equal(run(&s, "return"), SCRIPT_DONE);
    assert_int_equal(run(&s, "return nil, nil"), SCRIPT_DONE);
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

/* Loads a subscription with these fields and a handler with this body, and calls it. */
static enum script_verdict hooked(struct scene *s, const char *fields, const char *body)
{
    char text[2048];

    snprintf(text, sizeof text,
             "local herald, seen = require 'herald', {}\n"
             "herald.subscribe { queue = 'paynotify_queue', %s }\n"
             "herald.on('*', '*', function(msg, tx) %s end)",
             fields, body);
    assert_string_equal(load(s, text), "");
    s->lent.subscription = rules_topology(script_rules(s->script))->subscriptions;
    return again(s);
}

static void hooks_run_around_the_handler(void **state)
{
    static const char both[] = "before = function(msg, tx) seen[1] = msg tx:exec 'change 1' end,\n"
                               "after = function(msg, tx) assert(seen[2]) print('after', msg.id,\n"
                               "tx:exec 'change 3') seen = {} end";
    struct scene s;

    (void)state;
    begin(&s);
    assert_int_equal(hooked(&s, both, "assert(seen[1] == msg and not seen[2]) seen[2] = true"),
                     SCRIPT_DONE);
    assert_string_equal(s.fake.logged, "1 script.log text=after\tm-1\t3 place=rules/a.lua:3\n");
    assert_int_equal(again(&s), SCRIPT_DONE);
    s.fake.logged[0] = '\0';
    assert_int_equal(hooked(&s, both, "error 'no'"), SCRIPT_FAILED);
    assert_string_equal(s.fake.logged, ""); /* after is for what went well */
    s.lent.subscription = NULL;
    assert_int_equal(again(&s), SCRIPT_FAILED);
    end(&s);
}

static void an_error_in_a_hook_is_the_attempts(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_int_equal(hooked(&s, "before = function() error 'early' end", "print 'never'"),
                     SCRIPT_FAILED);
    assert_string_equal(s.out.error, "rules/a.lua:2: early");
    assert_string_equal(s.fake.logged, "");
    assert_int_equal(hooked(&s, "after = function() herald.reject 'late' end", ""), SCRIPT_REJECT);
    assert_string_equal(s.out.error, "rules/a.lua:2: late");
    assert_int_equal(hooked(&s, "before = function() herald.retry('5s', 'closed') end", ""),
                     SCRIPT_RETRY);
    assert_int_equal(s.out.delay_ms, 5000);
    assert_int_equal(hooked(&s, "before = function() return false end", ""), SCRIPT_FAILED);
    assert_string_equal(s.out.error,
                        "rules/a.lua:2: before in herald.subscribe returned false: it returns "
                        "nothing when all is well; to fail, call error(why), herald.retry(delay, "
                        "why) or herald.reject(why)");
    assert_int_equal(hooked(&s, "after = function(_, tx) tx:exec 'lose' end", ""), SCRIPT_TX_LOST);
    end(&s);
}

static void hooks_and_handler_share_one_limit_of_time(void **state)
{
    static const char wait[] = "for i = 1, 120 do tx:exec 'change 1' end"; /* 120 ms of it */
    char fields[256];
    struct scene s;

    (void)state;
    begin(&s);
    assert_int_equal(hooked(&s, "prefetch = 1", wait), SCRIPT_DONE);
    snprintf(fields, sizeof fields, "before = function(msg, tx) %s end", wait);
    assert_int_equal(hooked(&s, fields, wait), SCRIPT_FAILED);
    assert_non_null(strstr(s.out.error, "rules/a.lua:3: ran over its time limit of 200 ms"));
    end(&s);
}

static void a_handler_has_its_own_limit_of_time(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    s.settings.handler_ms = 20;
    assert_string_equal(load(&s, "require 'herald'.on('*', '*', function(msg, tx)\n"
                                 "for i = 1, 120 do tx:exec 'change 1' end\n"
                                 "end, { timeout = '500ms' })"),
                        "");
    assert_int_equal(again(&s), SCRIPT_DONE);
    end(&s);
}

static void a_raw_message_has_its_bytes_as_body(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    s.message.body = slice_of("{\"a\":1}");
    assert_int_equal(
        hooked(&s, "envelope = 'raw'", "assert(msg.body == '{\"a\":1}' and msg.raw == msg.body)"),
        SCRIPT_DONE);
    assert_int_equal(s.lent.subscription->envelope, ENVELOPE_RAW);
    s.message.body = slice_of("<x>\xff");
    assert_int_equal(again(&s), SCRIPT_FAILED);
    assert_int_equal(hooked(&s, "envelope = 'raw'", "assert(msg.body == '<x>\\xff')"), SCRIPT_DONE);
    s.message.body = slice_of("{\"a\":1}");
    assert_int_equal(hooked(&s, "envelope = 'auto'", "assert(msg.body.a == 1)"), SCRIPT_DONE);
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
        cmocka_unit_test(hooks_run_around_the_handler),
        cmocka_unit_test(an_error_in_a_hook_is_the_attempts),
        cmocka_unit_test(hooks_and_handler_share_one_limit_of_time),
        cmocka_unit_test(a_handler_has_its_own_limit_of_time),
        cmocka_unit_test(a_raw_message_has_its_bytes_as_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
