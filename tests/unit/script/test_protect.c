/* Whatever a script raises becomes words, and never more than that. */
#include "fake_host.h"

#define AT "rules/a.lua:3: "
#define WORDLESS(type)                                                                             \
    AT "the error is a " type " without words: raise a string, or a table with a field message "   \
       "or a __tostring that works"

TEST_WITH(scene, error_objects_of_every_kind_become_words)
{
    static const struct {
        const char *body, *words;
    } cases[] = {
        {"error()", WORDLESS("nil")},
        {"error(nil)", WORDLESS("nil")},
        {"error('plain', 0)", AT "plain"},
        {"error(12)", AT "12"},
        {"error(1.5)", AT "1.5"},
        {"error(true)", WORDLESS("boolean")},
        {"error({})", WORDLESS("table")},
        {"error({ code = 3, message = 'by table' })", AT "by table"},
        {"error({ message = {} })", WORDLESS("table")},
        {"error(print)", WORDLESS("function")},
        {"error(herald.null)", AT "herald.null"},
        {"error(msg)", AT "herald.msg m-1"},
        {"error(tx)", AT "herald.tx"},
        {"error(coroutine.create(print))", WORDLESS("thread")},
        {"error(setmetatable({}, { __tostring = function() return 'an object' end }))",
         AT "an object"},
        {"error(setmetatable({}, { __tostring = function() error('worse') end }))",
         WORDLESS("table")},
        {"error(setmetatable({}, { __tostring = function(x) error(x) end }))", WORDLESS("table")},
        {"error(setmetatable({}, { __tostring = function() return {} end }))", WORDLESS("table")},
        {"error(setmetatable({}, { __tostring = 5 }))", WORDLESS("table")},
        {"error(setmetatable({}, { __name = 'Thing' }))", WORDLESS("table")},
        {"error('caf\\xc3\\xa9 \\xff|\\0|', 0)", AT "caf\xc3\xa9 ?|?|"},
        {"local x x.y = 1", "rules/a.lua:3: attempt to index a nil value (local 'x')"},
        {"local a <close> = setmetatable({}, { __close = function() error('closing', 0) end })\n"
         "error('first', 0)",
         AT "closing"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        FAILS(f, cases[i].body, cases[i].words);
}

TEST_WITH(scene, a_long_error_is_cut_at_a_whole_character)
{
    assert_int_equal(run(f, "error('x' .. ('\\u{20ac}'):rep(1000), 0)"), SCRIPT_FAILED);
    assert_in_range(strlen(f->out.error), 1000, sizeof f->out.error - 1);
    assert_true(text_is_utf8(f->out.error, strlen(f->out.error)));
}

TEST_WITH(scene, runaway_recursion_is_a_plain_error)
{
    static const char *const ways[] = {
        "local function f() return 1 + f() end f()",
        "local t = setmetatable({}, { __index = function(t, k) return t[k] end }) t = t.y",
        "local function f() pcall(f) error('up') end f()",
        "local function f() return coroutine.wrap(f)() end f()",
        "local function f(x) return (x:gsub('.', f)) end f('x')",
        "local function f() error(setmetatable({}, { __tostring = f })) end f()",
        "local s = ('('):rep(1000) error((select(2, load('return ' .. s))), 0)",
    };

    f->settings.handler_ms = 100000;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        if (run(f, ways[i]) != SCRIPT_FAILED)
            fail_msg("way %zu: verdict %d: %s", i, (int)f->out.verdict, f->out.error);
        assert_true(f->out.error[0] != '\0');
        assert_int_equal(again(f), SCRIPT_FAILED);
    }
}

TEST_WITH(scene, a_traceback_is_short)
{
    int lines = 1;

    assert_int_equal(run(f, "local function f(n) if n == 0 then error('deep') end f(n - 1) end\n"
                            "f(100)"),
                     SCRIPT_FAILED);
    for (const char *p = f->out.traceback; *p != '\0'; p++)
        lines += *p == '\n';
    assert_int_equal(lines, 12);
}
