/* herald.retry and herald.reject. */
#include "fake_host.h"

TEST_WITH(scene, a_retry_carries_delay_and_reason)
{
    static const struct {
        const char *body;
        int64_t delay_ms;
        const char *words;
    } cases[] = {
        {"herald.retry('30s', 'busy')", 30000, "rules/a.lua:3: busy"},
        {"herald.retry('250ms')", 250, "rules/a.lua:3: asked for a retry"},
        {"herald.retry(5, 'busy')", 5000, "rules/a.lua:3: busy"},
        {"herald.retry(0.25, 'busy')", 250, "rules/a.lua:3: busy"},
        {"herald.retry(0)", 0, "rules/a.lua:3: asked for a retry"},
        {"herald.retry(nil, 'by policy')", -1, "rules/a.lua:3: by policy"},
        {"herald.retry()", -1, "rules/a.lua:3: asked for a retry"},
        {"herald.retry('2h', 42)", 7200000, "rules/a.lua:3: 42"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(run(f, cases[i].body), SCRIPT_RETRY);
        assert_int_equal(f->out.delay_ms, cases[i].delay_ms);
        assert_string_equal(f->out.error, cases[i].words);
        assert_string_equal(f->out.traceback, "");
    }
}

TEST_WITH(scene, a_reject_carries_its_reason)
{
    assert_int_equal(run(f, "herald.reject('no choice ' .. msg.business_key1)"), SCRIPT_REJECT);
    assert_string_equal(f->out.error, "rules/a.lua:3: no choice 16");
    assert_int_equal(run(f, "herald.reject()"), SCRIPT_REJECT);
    assert_string_equal(f->out.error, "rules/a.lua:3: rejected");
    assert_int_equal(run(f, "herald.reject({})"), SCRIPT_REJECT);
}

TEST_WITH(scene, a_bad_delay_is_an_error_of_its_own)
{
    FAILS(f, "herald.retry('10 min')",
          "rules/a.lua:3: herald.retry: \"10 min\" is not a duration; write a whole number with "
          "ms, s, m, h or d, such as \"30s\"");
    FAILS(f, "herald.retry(-1)",
          "rules/a.lua:3: herald.retry: a delay of -1.0 seconds is not between 0 and 100 years");
    FAILS(f, "herald.retry(-(0/0))",
          "rules/a.lua:3: herald.retry: a delay of nan seconds is not between 0 and 100 years");
    FAILS(f, "herald.retry(math.huge)",
          "rules/a.lua:3: herald.retry: a delay of inf seconds is not between 0 and 100 years");
    FAILS(f, "herald.retry(1e10)",
          "rules/a.lua:3: herald.retry: a delay of 10000000000.0 seconds is not between 0 and 100 "
          "years");
    FAILS(f, "herald.retry({})",
          "rules/a.lua:3: herald.retry: the delay is a table; give text such as \"30s\", or "
          "seconds");
}

TEST_WITH(scene, a_verdict_can_be_caught_and_raised_again)
{
    RUNS(f, "local ok, e = pcall(herald.reject, 'no')\n"
            "assert(not ok and tostring(e) == 'no', tostring(e))");
    assert_int_equal(run(f, "local ok, e = pcall(function() herald.reject 'no' end)\n"
                            "error(e)"),
                     SCRIPT_REJECT);
    assert_string_equal(f->out.error, "rules/a.lua:3: no");
    assert_int_equal(run(f, "coroutine.wrap(function() herald.retry('1s', 'inside') end)()"),
                     SCRIPT_RETRY);
    assert_int_equal(f->out.delay_ms, 1000);
    assert_int_equal(run(f, "local c <close> = setmetatable({}, { __close = function() end })\n"
                            "herald.retry('1s')"),
                     SCRIPT_RETRY);
}

TEST_WITH(scene, the_last_word_counts)
{
    assert_int_equal(run(f, "local c <close> = setmetatable({}, { __close = function()\n"
                            "error('closing') end })\nherald.reject 'no'"),
                     SCRIPT_FAILED);
    assert_int_equal(f->out.delay_ms, -1);
    assert_int_equal(run(f, "xpcall(error, function() herald.reject 'in a handler' end)"),
                     SCRIPT_DONE);
}
