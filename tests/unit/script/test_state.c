/* The budget that a script cannot argue with. */
#include "fake_host.h"

#include "script/script_int.h"

#define SETTING " (setting handler_timeout; a handler can have its own with timeout in herald.on)"
#define LOADING " (a fixed one of CPU time for loading all files together: leave work to handlers)"

static void every_endless_loop_ends_at_its_limit(void **state)
{
    static const char *const loops[] = {
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "local function f() return pcall(f) end\nwhile true do f() end",
        "while true do local co = coroutine.create(function() while true do end end)\n"
        "coroutine.resume(co) end",
        "while true do pcall(coroutine.wrap(function() while true do end end)) end",
        "local function nest(n) coroutine.wrap(function() while true do pcall(nest, n + 1) end "
        "end)()\n"
        "end\nwhile true do pcall(nest, 1) end",
        "local mt = {} mt.__close = function() while true do end end\n"
        "while true do local a <close> = setmetatable({}, mt)\n"
        "local b <close> = setmetatable({}, mt) end",
        "local function again() while true do end end\n"
        "while true do xpcall(again, again) end",
        "xpcall(function() while true do end end, function() while true do end end)",
        "local mt = { __close = function() while true do end end }\n"
        "coroutine.wrap(function() local x <close> = setmetatable({}, mt)\n"
        "while true do end end)()",
        "local mt = { __close = function() while true do end end }\n"
        "local co = coroutine.create(function() local x <close> = setmetatable({}, mt)\n"
        "while true do end end)\ncoroutine.resume(co) coroutine.close(co)",
        "local mt = { __close = function() while true do end end }\n"
        "pcall(coroutine.wrap(function() local x <close> = setmetatable({}, mt)\n"
        "local function deep() return 1 + deep() end deep() end)) while true do end",
        "local function deep() return 1 + deep() end\n"
        "xpcall(deep, function() while true do end end) while true do end",
        "local mt = { __close = function() while true do end end }\n"
        "local x <close> = setmetatable({}, mt)\n"
        "local function deep() return 1 + deep() end deep()",
        "repeat until tostring(setmetatable({}, { __tostring = function() while true do end end "
        "}))",
        "error(setmetatable({}, { __tostring = function() while true do end end }))",
        "table.sort({ 3, 2, 1 }, function() while true do end end)",
        "('x'):gsub('.', function() while true do end end)",
        "load(function() while true do end end)",
        "goto top ::top:: for _ in pairs { 1 } do end goto top",
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k] end\n"
        "while true do pcall(function() return t.x end) end",
        "local mt = {} mt.__concat = function() while true do end end\n"
        "return setmetatable({}, mt) .. 'x'",
        "local mt = {} mt.__lt = function() while true do end end\n"
        "table.sort { setmetatable({}, mt), setmetatable({}, mt), setmetatable({}, mt) }",
        "local mt = {} mt.__len = function() while true do end end\n"
        "return table.unpack(setmetatable({}, mt))",
        "local mt = { __close = function() while true do end end }\n"
        "for i in function() error 'x' end, nil, nil, setmetatable({}, mt) do end",
        "local function chain() return coroutine.wrap(chain)() end while true do pcall(chain) end",
        "local co = coroutine.create(function() while true do end end)\n"
        "while true do coroutine.resume(co) end",
        "local co = coroutine.wrap(function() pcall(function() while true do end end)\n"
        "while true do coroutine.yield() end end)\nwhile true do pcall(co) end",
        "local function f() return f() end f()",
        "while true do load('while true do end', '@rules/a.lua:0')() end",
        "while true do string.rep('x', 1000) end",
        "while true do pcall(string.rep, 'x', 1 << 40) end",
        "while true do pcall(string.find, ('a'):rep(10), ('a-'):rep(3) .. 'b') end",
        "while true do local t = table.move({ 1, 2, 3 }, 1, 3, 2) end",
        "while true do xpcall(error, function(e) while true do end end) end",
        "while true do xpcall(error, error) end",
        "while true do pcall(require, 'lib.x') end",
        "while true do pcall(herald.json.decode, '{') end",
        "while true do pcall(herald.retry, 'x') end",
        "while true do for row in tx:query 'count 5' do end end",
        "local co co = coroutine.wrap(function() while true do coroutine.yield() end end)\n"
        "while true do co() end",
    };
    struct scene s;

    (void)state;
    begin(&s);
    for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++) {
        alarm(200); /* so that a loop that nothing ends fails the test */
        if (run(&s, loops[i]) != SCRIPT_FAILED)
            fail_msg("loop %zu: verdict %d: %s", i, (int)s.out.verdict, s.out.error);
        if (strstr(s.out.error, "ran over its time limit of 200 ms") == NULL)
            fail_msg("loop %zu: %s", i, s.out.error);
        alarm(0);
        if (strncmp(s.out.error, "rules/a.lua:", 12) != 0)
            fail_msg("loop %zu: %s", i, s.out.error);
    }
    end(&s);
}

static void a_limit_that_was_swallowed_still_counts(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    FAILS(&s, "return pcall(function() while true do end end)",
          "rules/a.lua:3: ran over its time limit of 200 ms" SETTING);
    end(&s);
}

static void a_host_call_after_the_limit_is_refused(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_int_equal(run(&s, "for i = 1, 1000 do tx:exec 'change 1' end"), SCRIPT_FAILED);
    assert_string_equal(s.out.error, "rules/a.lua:3: ran over its time limit of 200 ms" SETTING);
    end(&s);
}

static void a_coroutine_stopped_in_one_call_works_in_the_next(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_string_equal(load(&s, "local n, co = 0, nil\n"
                                 "local function work()\n"
                                 "  while true do for i = 1, 20000 do local x = i end\n"
                                 "  coroutine.yield('alive') end\n"
                                 "end\n"
                                 "require 'herald'.on('*', '*', function(msg, tx)\n"
                                 "  n = n + 1\n"
                                 "  if n == 1 then co = coroutine.create(work)\n"
                                 "    coroutine.resume(co) while true do end end\n"
                                 "  local ok, what = coroutine.resume(co)\n"
                                 "  assert(ok and what == 'alive', what)\n"
                                 "end)"),
                        "");
    assert_int_equal(again(&s), SCRIPT_FAILED);
    assert_int_equal(again(&s), SCRIPT_DONE);
    end(&s);
}

/* A coroutine that died of a limit may have a __close that was waiting for this. */
static void a_coroutine_that_a_limit_killed_cannot_be_closed_later(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_string_equal(load(&s, "local n, co = 0, nil\n"
                                 "local mt = { __close = function() while true do end end }\n"
                                 "require 'herald'.on('*', '*', function(msg, tx)\n"
                                 "  n = n + 1\n"
                                 "  if n == 2 then coroutine.close(co) end\n"
                                 "  co = coroutine.create(function()\n"
                                 "    local x <close> = setmetatable({}, mt)\n"
                                 "    while true do end\n"
                                 "  end)\n"
                                 "  coroutine.resume(co)\n"
                                 "end)"),
                        "");
    alarm(200);
    assert_int_equal(again(&s), SCRIPT_FAILED);
    assert_int_equal(again(&s), SCRIPT_FAILED);
    alarm(0);
    assert_string_equal(s.out.error, "rules/a.lua:5: this coroutine was stopped by a limit and "
                                     "cannot be closed");
    end(&s);
}

static void wrapped_coroutines_behave_as_ever(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    RUNS(&s, "local t = {}\n"
             "for a, b in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i, i * i) end\n"
             "end) do t[#t + 1] = a + b end\n"
             "assert(table.concat(t, ' ') == '2 6 12')\n"
             "local f = coroutine.wrap(function(x) local y = coroutine.yield(x + 1)\n"
             "error({ y }) end)\n"
             "assert(f(1) == 2)\n"
             "local ok, e = pcall(f, 'last') assert(not ok and e[1] == 'last')\n"
             "ok, e = pcall(f) assert(not ok and e == 'cannot resume dead coroutine', e)\n"
             "local closed\n"
             "f = coroutine.wrap(function()\n"
             "local x <close> = setmetatable({}, { __close = function() closed = true end })\n"
             "error('here', 0) end)\n"
             "ok, e = pcall(f) assert(not ok and e == 'here' and closed)\n"
             "f = coroutine.wrap(function()\n"
             "local x <close> = setmetatable({}, { __close = function() error('close', 0) end })\n"
             "error('here', 0) end)\n"
             "ok, e = pcall(f) assert(not ok and e == 'close')\n"
             "local co = coroutine.create(function()\n"
             "return pcall(function() coroutine.yield(1) error('after', 0) end) end)\n"
             "coroutine.resume(co)\n"
             "local _, fine, why = coroutine.resume(co) assert(not fine and why == 'after')\n"
             "co = coroutine.create(function()\n"
             "return xpcall(function() coroutine.yield(1) error('after', 0) end,\n"
             "function(m) return m .. '!' end) end)\n"
             "coroutine.resume(co)\n"
             "_, fine, why = coroutine.resume(co) assert(not fine and why == 'after!')\n"
             "assert(not pcall(coroutine.wrap, 5))");
    end(&s);
}

static void loading_has_a_limit_too(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_string_equal(load(&s, "local x = 1\nwhile true do end"),
                        "rules/a.lua:2: ran over its time limit of 200 ms" LOADING);
    assert_string_equal(load(&s, "while true do pcall(load, 'while true do end') end"),
                        "rules/a.lua:1: ran over its time limit of 200 ms" LOADING);
    s.settings.load_ms = 100000;
    assert_string_equal(
        load(&s, "local t = {} for i = 1, 1e9 do t[i] = { i } end"),
        "rules/a.lua:1: the rules need more memory than the limit of 16777216 bytes (setting "
        "handler_memory; all rules of a generation share it)");
    end(&s);
}

/* A machine with much else to do must not refuse rules that are good. */
static int64_t hour_by_hour(void *arg)
{
    return ((struct fake *)arg)->mono += 3600000;
}

static void loading_is_not_ended_by_time_that_others_used(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    s.fake.host.mono_ms = hour_by_hour;
    assert_string_equal(load(&s, "local x = 0\nfor i = 1, 20000 do x = x + i end"), "");
    end(&s);
}

static void memory_is_counted_to_the_byte(void **state)
{
    struct scene s;
    size_t before;

    (void)state;
    begin(&s);
    RUNS(&s, "local t = {} for i = 1, 1000 do t[i] = tostring(i) end");
    before = script_memory(s.script);
    assert_in_range(before, 10000, 2000000);
    assert_int_equal(again(&s), SCRIPT_DONE);
    for (int i = 0; i < 100; i++)
        script_step(s.script);
    assert_true(script_memory(s.script) < before + 200000);
    s.settings.memory_max = 4000;
    assert_non_null(strstr(load(&s, ""), "memory"));
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_endless_loop_ends_at_its_limit),
        cmocka_unit_test(a_limit_that_was_swallowed_still_counts),
        cmocka_unit_test(a_host_call_after_the_limit_is_refused),
        cmocka_unit_test(a_coroutine_stopped_in_one_call_works_in_the_next),
        cmocka_unit_test(a_coroutine_that_a_limit_killed_cannot_be_closed_later),
        cmocka_unit_test(wrapped_coroutines_behave_as_ever),
        cmocka_unit_test(loading_has_a_limit_too),
        cmocka_unit_test(loading_is_not_ended_by_time_that_others_used),
        cmocka_unit_test(memory_is_counted_to_the_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
