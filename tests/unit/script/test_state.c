/* The budget that a script cannot argue with. */
#include "fake_host.h"

#include "script/script_int.h"

#define SETTING " (setting handler_timeout; a handler can have its own with timeout in herald.on)"
#define LOADING " (a fixed one of CPU time for loading all files together: leave work to handlers)"

TEST_WITH(scene, every_endless_loop_ends_at_its_limit)
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

    for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++) {
        alarm(200); /* so that a loop that nothing ends fails the test */
        if (run(f, loops[i]) != SCRIPT_FAILED)
            fail_msg("loop %zu: verdict %d: %s", i, (int)f->out.verdict, f->out.error);
        if (strstr(f->out.error, "ran over its time limit of 200 ms") == NULL)
            fail_msg("loop %zu: %s", i, f->out.error);
        alarm(0);
        if (strncmp(f->out.error, "rules/a.lua:", 12) != 0)
            fail_msg("loop %zu: %s", i, f->out.error);
    }
}

TEST_WITH(scene, a_limit_that_was_swallowed_still_counts)
{
    FAILS(f, "return pcall(function() while true do end end)",
          "rules/a.lua:3: ran over its time limit of 200 ms" SETTING);
}

TEST_WITH(scene, a_host_call_after_the_limit_is_refused)
{
    assert_int_equal(run(f, "for i = 1, 1000 do tx:exec 'change 1' end"), SCRIPT_FAILED);
    assert_string_equal(f->out.error, "rules/a.lua:3: ran over its time limit of 200 ms" SETTING);
}

TEST_WITH(scene, a_coroutine_stopped_in_one_call_works_in_the_next)
{
    assert_string_equal(load(f, "local n, co = 0, nil\n"
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
    assert_int_equal(again(f), SCRIPT_FAILED);
    assert_int_equal(again(f), SCRIPT_DONE);
}

/* A coroutine that died of a limit may have a __close that was waiting for this. */
TEST_WITH(scene, a_coroutine_that_a_limit_killed_cannot_be_closed_later)
{
    assert_string_equal(load(f, "local n, co = 0, nil\n"
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
    assert_int_equal(again(f), SCRIPT_FAILED);
    assert_int_equal(again(f), SCRIPT_FAILED);
    alarm(0);
    assert_string_equal(f->out.error, "rules/a.lua:5: this coroutine was stopped by a limit and "
                                      "cannot be closed");
}

TEST_WITH(scene, wrapped_coroutines_behave_as_ever)
{
    RUNS(f, "local t = {}\n"
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
}

TEST_WITH(scene, loading_has_a_limit_too)
{
    assert_string_equal(load(f, "local x = 1\nwhile true do end"),
                        "rules/a.lua:2: ran over its time limit of 200 ms" LOADING);
    assert_string_equal(load(f, "while true do pcall(load, 'while true do end') end"),
                        "rules/a.lua:1: ran over its time limit of 200 ms" LOADING);
    f->settings.load_ms = 100000;
    assert_string_equal(
        load(f, "local t = {} for i = 1, 1e9 do t[i] = { i } end"),
        "rules/a.lua:1: the rules need more memory than the limit of 16777216 bytes (setting "
        "handler_memory; all rules of a generation share it)");
}

/* A machine with much else to do must not refuse rules that are good. */
static int64_t hour_by_hour(void *arg)
{
    return ((struct fake *)arg)->mono += 3600000;
}

TEST_WITH(scene, loading_is_not_ended_by_time_that_others_used)
{
    f->fake.host.mono_ms = hour_by_hour;
    assert_string_equal(load(f, "local x = 0\nfor i = 1, 20000 do x = x + i end"), "");
}

TEST_WITH(scene, memory_is_counted_to_the_byte)
{
    size_t before;

    RUNS(f, "local t = {} for i = 1, 1000 do t[i] = tostring(i) end");
    before = script_memory(f->script);
    assert_in_range(before, 10000, 2000000);
    assert_int_equal(again(f), SCRIPT_DONE);
    for (int i = 0; i < 100; i++)
        script_step(f->script);
    assert_true(script_memory(f->script) < before + 200000);
    f->settings.memory_max = 4000;
    assert_non_null(strstr(load(f, ""), "memory"));
}
