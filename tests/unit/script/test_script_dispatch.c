/* What a handler may do to a call, and what comes out of it. */
#include "fake_host.h"

TEST_WITH(scene, a_handler_that_returns_is_done)
{
    assert_int_equal(run(f, "return"), SCRIPT_DONE);
    assert_int_equal(run(f, "return nil, nil"), SCRIPT_DONE);
    assert_string_equal(f->out.error, "");
    assert_string_equal(f->out.traceback, "");
    assert_int_equal(f->out.code, OK);
}

TEST_WITH(scene, an_error_names_file_and_line_and_has_a_traceback)
{
    FAILS(f, "local function deep() error('no course') end\ndeep()", "rules/a.lua:3: no course");
    assert_string_equal(f->out.traceback, "rules/a.lua:3 in 'deep'\n"
                                          "rules/a.lua:4 in the function of line 2");
}

TEST_WITH(scene, a_call_after_a_failed_one_starts_afresh)
{
    assert_string_equal(load(f, "local n = 0\n"
                                "require 'herald'.on('*', '*', function(msg, tx)\n"
                                "  n = n + 1\n"
                                "  if n == 1 then error('once') end\n"
                                "  if n == 2 then while true do end end\n"
                                "  if n == 3 then tx:exec('lose') end\n"
                                "  for i = 1, 5000 do local x = i end\n"
                                "end)"),
                        "");
    assert_int_equal(again(f), SCRIPT_FAILED);
    assert_int_equal(again(f), SCRIPT_FAILED);
    assert_int_equal(again(f), SCRIPT_TX_LOST);
    assert_int_equal(again(f), SCRIPT_DONE);
    assert_string_equal(f->out.error, "");
}

TEST_WITH(scene, a_lost_transaction_ends_the_handler_beyond_its_pcall)
{
    assert_int_equal(run(f, "while true do pcall(tx.exec, tx, 'lose') end"), SCRIPT_TX_LOST);
    assert_int_equal(f->out.code, ERR_TX_LOST);
    assert_string_equal(f->out.error, "rules/a.lua:3: the statement ended the transaction");
    assert_int_equal(run(f, "return pcall(tx.exec, tx, 'lose')"), SCRIPT_TX_LOST);
    assert_int_equal(run(f, "pcall(tx.exec, tx, 'lose') tx:emit { type = 'x' }"), SCRIPT_TX_LOST);
    assert_int_equal(f->fake.emits, 0);
}

TEST_WITH(scene, after_a_host_failure_nothing_reaches_the_host)
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

    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        assert_int_equal(run(f, ways[i]), SCRIPT_ENVIRONMENT);
        assert_int_equal(f->out.code, ERR_FULL);
        assert_non_null(strstr(f->out.error, "database or disk is full"));
        assert_int_equal(f->fake.emits, 0);
    }
}

TEST_WITH(scene, a_failing_emit_of_the_environment_ends_it_too)
{
    f->fake.emit_code = ERR_IO;
    assert_int_equal(run(f, "pcall(tx.emit, tx, { type = 'x' }) error('mine')"),
                     SCRIPT_ENVIRONMENT);
    assert_int_equal(f->out.code, ERR_IO);
    f->fake.emit_code = ERR_INPUT; /* the handler's mistake */
    FAILS(f, "tx:emit { type = 'x' }", "rules/a.lua:3: tx:emit: no emit today");
}

TEST_WITH(scene, a_memory_hog_asks_for_a_new_state)
{
    f->settings.handler_ms = 100000;
    assert_int_equal(run(f, "local t = {} for i = 1, 1e9 do t[i] = { i } end"), SCRIPT_NOMEM);
    assert_string_equal(f->out.traceback, "");
    assert_int_equal(run(f, "local s = 'x' while true do s = s .. s end"), SCRIPT_NOMEM);
    assert_int_equal(script_rebuild(&f->script, &f->err), OK);
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

TEST_WITH(scene, hooks_run_around_the_handler)
{
    static const char both[] = "before = function(msg, tx) seen[1] = msg tx:exec 'change 1' end,\n"
                               "after = function(msg, tx) assert(seen[2]) print('after', msg.id,\n"
                               "tx:exec 'change 3') seen = {} end";

    assert_int_equal(hooked(f, both, "assert(seen[1] == msg and not seen[2]) seen[2] = true"),
                     SCRIPT_DONE);
    assert_string_equal(f->fake.logged, "1 script.log text=after\tm-1\t3 place=rules/a.lua:3\n");
    assert_int_equal(again(f), SCRIPT_DONE);
    f->fake.logged[0] = '\0';
    assert_int_equal(hooked(f, both, "error 'no'"), SCRIPT_FAILED);
    assert_string_equal(f->fake.logged, ""); /* after is for what went well */
    f->lent.subscription = NULL;
    assert_int_equal(again(f), SCRIPT_FAILED);
}

TEST_WITH(scene, an_error_in_a_hook_is_the_attempts)
{
    assert_int_equal(hooked(f, "before = function() error 'early' end", "print 'never'"),
                     SCRIPT_FAILED);
    assert_string_equal(f->out.error, "rules/a.lua:2: early");
    assert_string_equal(f->fake.logged, "");
    assert_int_equal(hooked(f, "after = function() herald.reject 'late' end", ""), SCRIPT_REJECT);
    assert_string_equal(f->out.error, "rules/a.lua:2: late");
    assert_int_equal(hooked(f, "before = function() herald.retry('5s', 'closed') end", ""),
                     SCRIPT_RETRY);
    assert_int_equal(f->out.delay_ms, 5000);
    assert_int_equal(hooked(f, "before = function() return false end", ""), SCRIPT_FAILED);
    assert_string_equal(f->out.error,
                        "rules/a.lua:2: before in herald.subscribe returned false: it returns "
                        "nothing when all is well; to fail, call error(why), herald.retry(delay, "
                        "why) or herald.reject(why)");
    assert_int_equal(hooked(f, "after = function(_, tx) tx:exec 'lose' end", ""), SCRIPT_TX_LOST);
}

TEST_WITH(scene, hooks_and_handler_share_one_limit_of_time)
{
    static const char wait[] = "for i = 1, 120 do tx:exec 'change 1' end"; /* 120 ms of it */
    char fields[256];

    assert_int_equal(hooked(f, "prefetch = 1", wait), SCRIPT_DONE);
    snprintf(fields, sizeof fields, "before = function(msg, tx) %s end", wait);
    assert_int_equal(hooked(f, fields, wait), SCRIPT_FAILED);
    assert_non_null(strstr(f->out.error, "rules/a.lua:3: ran over its time limit of 200 ms"));
}

TEST_WITH(scene, a_handler_has_its_own_limit_of_time)
{
    f->settings.handler_ms = 20;
    assert_string_equal(load(f, "require 'herald'.on('*', '*', function(msg, tx)\n"
                                "for i = 1, 120 do tx:exec 'change 1' end\n"
                                "end, { timeout = '500ms' })"),
                        "");
    assert_int_equal(again(f), SCRIPT_DONE);
}

TEST_WITH(scene, a_raw_message_has_its_bytes_as_body)
{
    f->message.body = slice_of("{\"a\":1}");
    assert_int_equal(
        hooked(f, "envelope = 'raw'", "assert(msg.body == '{\"a\":1}' and msg.raw == msg.body)"),
        SCRIPT_DONE);
    assert_int_equal(f->lent.subscription->envelope, ENVELOPE_RAW);
    f->message.body = slice_of("<x>\xff");
    assert_int_equal(again(f), SCRIPT_FAILED);
    assert_int_equal(hooked(f, "envelope = 'raw'", "assert(msg.body == '<x>\\xff')"), SCRIPT_DONE);
    f->message.body = slice_of("{\"a\":1}");
    assert_int_equal(hooked(f, "envelope = 'auto'", "assert(msg.body.a == 1)"), SCRIPT_DONE);
}
