/* Library calls that the count hook cannot stop. */
#include "fake_host.h"

#define QUARTER ", a quarter of the setting handler_memory"
#define CUT ": cut it with sub, or search for plain text with string.find(s, text, 1, true)"
#define ROOM ", which the setting handler_memory has room for"

TEST_WITH(scene, bombs_are_refused_at_once)
{
    static const struct {
        const char *body, *words;
    } cases[] = {
        {"return ('x'):rep(1 << 40)",
         "rules/a.lua:3: string.rep: the result would be over 4194304 bytes" QUARTER},
        {"return ('x'):rep(5000000)",
         "rules/a.lua:3: string.rep: the result would be over 4194304 bytes" QUARTER},
        {"return ('x'):rep(1 << 62, 'yy')",
         "rules/a.lua:3: string.rep: the result would be over 4194304 bytes" QUARTER},
        {"return (''):rep(1 << 62, 'y')",
         "rules/a.lua:3: string.rep: the result would be over 4194304 bytes" QUARTER},
        {"local s = ('a'):rep(1048577) return s:find('b')",
         "rules/a.lua:3: string.find: a subject of 1048577 bytes is over the fixed limit of "
         "1048576" CUT},
        {"local s = ('a'):rep(1048577) return s:match('b')",
         "rules/a.lua:3: string.match: a subject of 1048577 bytes is over the fixed limit of "
         "1048576" CUT},
        {"local s = ('a'):rep(1048577) return s:gmatch('b')",
         "rules/a.lua:3: string.gmatch: a subject of 1048577 bytes is over the fixed limit of "
         "1048576" CUT},
        {"local s = ('a'):rep(1048577) return s:gsub('b', '')",
         "rules/a.lua:3: string.gsub: a subject of 1048577 bytes is over the fixed limit of "
         "1048576" CUT},
        {"local s = ('a'):rep(4000000) return s:find(('a'):rep(4097), 1, true)",
         "rules/a.lua:3: string.find: a pattern of 4097 bytes is over the fixed limit of 4096"},
        {"return ('a'):match(('a'):rep(4097))",
         "rules/a.lua:3: string.match: a pattern of 4097 bytes is over the fixed limit of 4096"},
        {"table.move({}, 1, 1 << 50, 2)",
         "rules/a.lua:3: table.move: more items than the limit of 1048576" ROOM},
        {"table.move({}, math.mininteger, math.maxinteger, 2)",
         "rules/a.lua:3: table.move: more items than the limit of 1048576" ROOM},
        {"table.insert(setmetatable({}, { __len = function() return 1 << 50 end }), 1, 2)",
         "rules/a.lua:3: table.insert: more items than the limit of 1048576" ROOM},
        {"table.remove(setmetatable({}, { __len = function() return 1 << 50 end }), 1)",
         "rules/a.lua:3: table.remove: more items than the limit of 1048576" ROOM},
        {"table.sort(setmetatable({}, { __len = function() return 1 << 30 end }))",
         "rules/a.lua:3: table.sort: more items than the limit of 1048576" ROOM},
        {"table.concat(setmetatable({}, { __len = function() return 1 << 50 end }))",
         "rules/a.lua:3: table.concat: more items than the limit of 1048576" ROOM},
        {"table.concat({}, '', 1, 1 << 50)",
         "rules/a.lua:3: table.concat: more items than the limit of 1048576" ROOM},
        {"table.unpack(setmetatable({}, { __len = function() return 1 << 50 end }))",
         "rules/a.lua:3: table.unpack: more items than the limit of 1048576" ROOM},
        {"return os.date(('%c'):rep(4097))",
         "rules/a.lua:3: os.date: a format of 8194 bytes is over the fixed limit of 4096"},
        {"table.unpack({}, 1, 1e7)", "rules/a.lua:3: too many results to unpack"},
    };

    alarm(20);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        FAILS(f, cases[i].body, cases[i].words);
    alarm(0);
}

/* Moves on by a step whenever it is read. */
static int64_t slow_clock(void *arg)
{
    return ((struct fake *)arg)->mono += 20;
}

/* All calls of these would be over before the hook had looked at the clock fifty times. */
TEST_WITH(scene, a_call_that_takes_long_looks_at_the_clock)
{
    static const char *const calls[] = {
        "s:upper()",
        "s:lower()",
        "s:reverse()",
        "s:find('b', 1, true)",
        "s:find('b')",
        "s:match('b')",
        "s:gmatch('b')",
        "s:gsub('b', '')",
        "s:rep(2)",
        "table.concat(t)",
        "table.concat(t, '', 1, 5000)",
        "table.sort(t)",
        "table.insert(t, 1, 'x')",
        "table.remove(t, 1)",
        "table.move(t, 1, 5000, 2)",
        "herald.json.encode(s)",
        "herald.json.decode('1')",
    };

    f->fake.host.mono_ms = slow_clock;
    f->settings.handler_ms = 1000; /* fifty times the clock is read */
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        char body[256];

        snprintf(body, sizeof body,
                 "local s, t = ('a'):rep(65537), {} for i = 1, 5000 do t[i] = 'a' end\nfor i = 1, "
                 "60 do %s end",
                 calls[i]);
        assert_int_equal(run(f, body), SCRIPT_FAILED);
        if (strstr(f->out.error, "rules/a.lua:4: ran over its time limit") != f->out.error)
            fail_msg("%s: %s", calls[i], f->out.error);
    }
    RUNS(f, "local s = ('a'):rep(100) for i = 1, 60 do s:upper() s:find 'b' end");
}

TEST_WITH(scene, ordinary_use_is_as_ever)
{
    RUNS(f, "assert(('ab'):rep(3, '-') == 'ab-ab-ab' and (''):rep(1 << 62) == '')\n"
            "assert(('x'):rep(0) == '' and ('x'):rep(-5) == '')\n"
            "assert(#('x'):rep(4194304) == 4194304)\n"
            "assert(('aB'):upper() == 'AB' and ('aB'):lower() == 'ab')\n"
            "assert(('ab'):reverse() == 'ba' and os.date('!%Y', 0) == '1970' and os.date())\n"
            "assert(('a.b'):find('.', 1, true) == 2 and ('key=v'):match('(%w+)=') == 'key')\n"
            "assert(('aXbX'):gsub('X', '-') == 'a-b-')\n"
            "local n = 0 for w in ('a b c'):gmatch('%a') do n = n + 1 end assert(n == 3)\n"
            "local t = { 1, 2, 3 } table.insert(t, 4) table.insert(t, 1, 0)\n"
            "assert(table.concat(t, ',') == '0,1,2,3,4' and table.remove(t) == 4)\n"
            "assert(table.concat(t, ',', 2, 3) == '1,2')\n"
            "table.sort(t, function(a, b) return a > b end) assert(t[1] == 3)\n"
            "assert(select('#', table.unpack(t)) == 4)\n"
            "assert(#table.move(t, 1, 4, 5) == 8)\n"
            "local s = ('a'):rep(4000000) assert(not s:find('b', 1, true))\n"
            "assert(not s:find(('a'):rep(2048) .. 'b' .. ('a'):rep(2047), 1, true))\n"
            "local p = setmetatable({}, { __len = function() return 3 end,\n"
            "__index = function(_, i) return i end })\n"
            "assert(table.concat(p, ' ') == '1 2 3')");
    FAILS(f, "('x'):rep()",
          "rules/a.lua:3: bad argument #1 to 'rep' (number expected, got no "
          "value)");
    FAILS(f, "table.concat()", "rules/a.lua:3: bad argument #1 to 'concat' (value expected)");
}
