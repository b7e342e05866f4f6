/* The budget that a script cannot argue with. */
#include "fake_host.h"

#include "script/script_int.h"

static void every_endless_loop_ends_at_its_limit(void **state)
{
    static const char *const loops[] = {
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "local function f() return pcall(f) end\nwhile true do f() end",
        "while true do local co = coroutine.create(function() while true do end end)\n"
        "coroutine.resume(co) end",
        "while true do pcall(coroutine.wrap(function() while true do end end)) end",
        "local function nest(n) coroutine.wrap(function() while true do pcall(nest, n + 1) end end)()\n"
        "end\nwhile true do pcall(nest, 1) end",
        "local mt = {} mt.__close = function() while true do end end\n"
        "while true do local a <close> = setmetatable({}, mt)\n"
        "local b <close> = setmetatable({}, mt) end",
        "local function again() while true do end end\n"
        "while true do xpcall(again, again) end",
        "repeat until tostring(setmetatable({}, { __tostring = function() while true do end end }))",
        "error(setmetatable({}, { __tostring = function() while true do end end }))",
        "table.sort({ 3, 2, 1 }, function() while true do end end)",
        "('x'):gsub('.', function() while true do end end)",
        "load(function() while true do end end)",
        "goto top ::top:: for _ in pairs { 1 } do end goto top",
        "local co co = coroutine.wrap(function() while true do coroutine.yield() end end)\n"
        "while true do co() end",
    };
    struct scene s;

    (void)state;
    begin(&s);
    for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++) {
        if (run(&s, loops[i]) != SCRIPT_FAILED)
            fail_msg("loop %zu: verdict %d: %s", i, (int)s.out.verdict, s.out.error);
        if (strstr(s.out.error, "ran over its time limit of 200 ms") == NULL)
            fail_msg("loop %zu: %s", i, s.out.error);
        assert_true(strncmp(s.out.error, "rules/a.lua:", 12) == 0);
    }
    end(&s);
}

static void a_limit_that_was_swallowed_still_counts(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    FAILS(&s, "return pcall(function() while true do end end)",
          "rules/a.lua:3: ran over its time limit of 200 ms");
    end(&s);
}

static void a_host_call_after_the_limit_is_refused(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_int_equal(run(&s, "for i = 1, 1000 do tx:exec 'change 1' end"), SCRIPT_FAILED);
    assert_string_equal(s.out.error, "rules/a.lua:3: ran over its time limit of 200 ms");
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

static void loading_has_a_limit_too(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_string_equal(load(&s, "local x = 1\nwhile true do end"),
                        "rules/a.lua:2: ran over its time limit of 200 ms");
    assert_string_equal(load(&s, "while true do pcall(load, 'while true do end') end"),
                        "rules/a.lua:1: ran over its time limit of 200 ms");
    s.settings.load_ms = 100000;
    assert_string_equal(load(&s, "local t = {} for i = 1, 1e9 do t[i] = { i } end"),
                        "rules/a.lua: needs more memory than the limit of 16777216 bytes");
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
        cmocka_unit_test(loading_has_a_limit_too),
        cmocka_unit_test(memory_is_counted_to_the_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
