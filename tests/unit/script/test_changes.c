/* What a reload says that it changes. */
#include "fake_host.h"

#define BASE                                                                                       \
    "local herald = require 'herald'\n"                                                            \
    "herald.route { type = 't', to = herald.fanout 'x' }\n"                                        \
    "herald.route { type = 'f', to = function(msg) return herald.queue 'a' end }\n"                \
    "herald.subscribe { queue = 'q', from = herald.fanout 'x' }\n"                                 \
    "herald.on('t', '1', function(msg, tx)\n"                                                      \
    "  tx:exec 'change 1'\n"                                                                       \
    "end)\n"                                                                                       \
    "herald.on('t', '2', function(msg, tx)\n"                                                      \
    "  tx:exec 'change 2'\n"                                                                       \
    "end, { queue = 'q' })\n"

static void note(void *arg, enum script_change change, const char *what, const char *name,
                 const char *origin)
{
    static const char signs[] = {'+', '~', '-'};

    put(arg, 2048, "%c %s %s %s\n", signs[change], what, name, origin);
}

/* Loads one text, then the other, and compares what is said of the difference. */
static void differ(struct scene *s, const char *before, const char *after, const char *expected)
{
    struct script *old;
    char got[2048] = "";

    assert_string_equal(load(s, before), "");
    old = s->script;
    s->script = NULL;
    assert_string_equal(load(s, after), "");
    script_changes(old, s->script, note, got);
    script_free(&old);
    assert_string_equal(got, expected);
}

/* `before` with one part replaced. */
static const char *with(const char *part, const char *instead, char *out, size_t size)
{
    const char *at = strstr(BASE, part);

    assert_non_null(at);
    snprintf(out, size, "%.*s%s%s", (int)(at - BASE), BASE, instead, at + strlen(part));
    return out;
}

TEST_WITH(scene, nothing_changes_by_itself)
{
    differ(f, BASE, BASE, "");
    differ(f, "", "", "");
}

TEST_WITH(scene, a_handler_changes_with_its_text_and_its_options_alone)
{
    static const struct {
        const char *part, *instead, *expected;
    } cases[] = {
        {"'change 1'", "'change 7'",
         "~ file rules/a.lua rules/a.lua\n~ handler t 1 rules/a.lua:5\n"},
        {"'change 1'\n", "'change 1' -- why\n",
         "~ file rules/a.lua rules/a.lua\n~ handler t 1 rules/a.lua:5\n"},
        {"local herald", "\n\n\nlocal herald", "~ file rules/a.lua rules/a.lua\n"}, /* it moved */
        {"{ queue = 'q' })", "{ queue = 'q', timeout = '1s' })",
         "~ file rules/a.lua rules/a.lua\n~ handler t 2 of q rules/a.lua:8\n"},
        {"{ queue = 'q' })", "{ queue = 'q', retry = { attempts = 10 } })",
         "~ file rules/a.lua rules/a.lua\n~ handler t 2 of q rules/a.lua:8\n"},
        {"{ queue = 'q' })", "{ queue = 'r' })",
         "~ file rules/a.lua rules/a.lua\n+ handler t 2 of r rules/a.lua:8\n"
         "- handler t 2 of q rules/a.lua:8\n"},
        {"'t', '1'", "'t', '*'",
         "~ file rules/a.lua rules/a.lua\n+ handler t * rules/a.lua:5\n"
         "- handler t 1 rules/a.lua:5\n"},
    };
    char text[2048];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        differ(f, BASE, with(cases[i].part, cases[i].instead, text, sizeof text),
               cases[i].expected);
}

TEST_WITH(scene, routes_and_subscriptions_change_with_any_field)
{
    static const struct {
        const char *part, *instead, *expected;
    } cases[] = {
        {"to = herald.fanout 'x'", "to = herald.fanout 'y'", "~ route t rules/a.lua:2\n"},
        {"to = herald.fanout 'x'", "to = { herald.fanout 'x', herald.queue 'z' }",
         "~ route t rules/a.lua:2\n"},
        {"to = herald.fanout 'x'", "unroutable = 'drop', to = herald.fanout 'x'",
         "~ route t rules/a.lua:2\n"},
        {"to = herald.fanout 'x'", "order_type = 5, to = herald.fanout 'x'",
         "+ route t 5 rules/a.lua:2\n- route t rules/a.lua:2\n"},
        {"herald.queue 'a'", "herald.queue 'b'", "~ route f rules/a.lua:3\n"},
        {"from = herald.fanout 'x'", "from = herald.direct('d', 'k')",
         "~ subscription q rules/a.lua:4\n"},
        {"from = herald.fanout 'x'", "prefetch = 5, from = herald.fanout 'x'",
         "~ subscription q rules/a.lua:4\n"},
        {"from = herald.fanout 'x'", "queue_type = 'classic', from = herald.fanout 'x'",
         "~ subscription q rules/a.lua:4\n"},
        {"from = herald.fanout 'x'", "unhandled = 'dead', from = herald.fanout 'x'",
         "~ subscription q rules/a.lua:4\n"},
        {"from = herald.fanout 'x'", "envelope = 'raw', from = herald.fanout 'x'",
         "~ subscription q rules/a.lua:4\n"},
        {"from = herald.fanout 'x'", "retry = { jitter = 0 }, from = herald.fanout 'x'",
         "~ subscription q rules/a.lua:4\n"},
        {"from = herald.fanout 'x'", "before = function() end, from = herald.fanout 'x'",
         "~ subscription q rules/a.lua:4\n"},
        {"from = herald.fanout 'x'", "identity = function() end, from = herald.fanout 'x'",
         "~ subscription q rules/a.lua:4\n"},
        {"from = herald.fanout 'x'", "pause_after = 5, from = herald.fanout 'x'",
         "~ subscription q rules/a.lua:4\n"},
        {"from = herald.fanout 'x'", "order_by = 'business_key1', from = herald.fanout 'x'",
         "~ subscription q rules/a.lua:4\n"},
        /* as it is without */
        {"from = herald.fanout 'x'", "identity = nil, prefetch = 500, from = { herald.fanout 'x' }",
         ""},
        {"queue = 'q', from = herald.fanout 'x' }", "queue = 'p' }",
         "+ subscription p rules/a.lua:4\n- subscription q rules/a.lua:4\n"},
    };
    char text[2048], expected[512];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(expected, sizeof expected, "~ file rules/a.lua rules/a.lua\n%s",
                 cases[i].expected);
        differ(f, BASE, with(cases[i].part, cases[i].instead, text, sizeof text), expected);
    }
}

/* Lua counts lines that end with a lone CR, too. */
TEST_WITH(scene, a_function_is_found_by_its_lines_whatever_ends_them)
{
    static const char *const ends[] = {"\n", "\r\n", "\r", "\n\r"};
    char text[2][512];

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        for (int k = 0; k < 2; k++)
            snprintf(text[k], sizeof text[k],
                     "local h = require 'herald'%sh.on('t', '1', function(msg, tx)%stx:exec "
                     "'change %d'%send)%sh.on('t', '2', print)",
                     ends[i], ends[i], k, ends[i], ends[i]);
        differ(f, text[0], text[1],
               "~ file rules/a.lua rules/a.lua\n~ handler t 1 rules/a.lua:2\n");
    }
}

TEST_WITH(scene, files_come_go_and_change)
{
    struct script *old;
    char got[512] = "", path[128];

    write_rules(f, "b.lua", "-- b", 4);
    write_rules(f, "c.lua", "-- c", 4);
    assert_string_equal(load(f, ""), "");
    old = f->script;
    f->script = NULL;
    snprintf(path, sizeof path, "%s/rules/b.lua", f->dir);
    assert_int_equal(unlink(path), 0);
    write_rules(f, "c.lua", "-- d", 4);
    write_rules(f, "d.lua", "-- d", 4);
    assert_string_equal(load(f, ""), "");
    script_changes(old, f->script, note, got);
    script_free(&old);
    assert_string_equal(got, "~ file rules/c.lua rules/c.lua\n"
                             "+ file rules/d.lua rules/d.lua\n"
                             "- file rules/b.lua rules/b.lua\n");
}
