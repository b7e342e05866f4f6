/* Lua to JSON: the same value gives the same bytes, and what does not fit is named. */
#include "fake_host.h"

/* The text that tx:emit makes of a body. */
static const char *json(struct scene *s, const char *value)
{
    char body[1024];

    s->fake.emitted[0] = '\0';
    snprintf(body, sizeof body, "tx:emit { type = 't', body = herald.json.encode(%s) }", value);
    RUNS(s, body);
    return strstr(s->fake.emitted, "body=") + 5;
}

TEST_WITH(scene, scalars_print_as_json)
{
    static const struct {
        const char *value, *text;
    } cases[] = {
        {"1", "1"},
        {"math.maxinteger", "9223372036854775807"},
        {"math.mininteger", "-9223372036854775808"},
        {"1.0", "1.0"},
        {"-0.0", "-0.0"},
        {"99.90", "99.9"},
        {"0.1 + 0.2", "0.30000000000000004"},
        {"1e15", "1e+15"},
        {"1e100", "1e+100"},
        {"123456789012345.0", "123456789012345.0"},
        {"2^53", "9007199254740992.0"},
        {"true", "true"},
        {"nil", "null"},
        {"herald.null", "null"},
        {"'x'", "\"x\""},
        {"'\\0\\n\"\\\\/\\u{20ac}'", "\"\\u0000\\n\\\"\\\\/\xe2\x82\xac\""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(json(f, cases[i].value), cases[i].text);
}

TEST_WITH(scene, tables_are_arrays_or_sorted_objects)
{
    static const struct {
        const char *value, *text;
    } cases[] = {
        {"{}", "{}"},
        {"{ 1, 2, 3 }", "[1,2,3]"},
        {"{ [1] = 'a', [2] = 'b' }", "[\"a\",\"b\"]"},
        {"{ b = 1, a = 2, ab = 3, B = 4, [''] = 5 }", "{\"\":5,\"B\":4,\"a\":2,\"ab\":3,\"b\":1}"},
        {"herald.json.array()", "[]"},
        {"herald.json.array {}", "[]"},
        {"herald.json.array { 1 }", "[1]"},
        {"herald.json.array(herald.json.array())", "[]"},
        {"{ herald.null, {}, { {} } }", "[null,{},[{}]]"},
        {"{ z = { y = { x = 1, w = 2 }, v = 3 }, a = { q = 1, p = 2 } }",
         "{\"a\":{\"p\":2,\"q\":1},\"z\":{\"v\":3,\"y\":{\"w\":2,\"x\":1}}}"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(json(f, cases[i].value), cases[i].text);
}

TEST_WITH(scene, what_was_decoded_encodes_to_the_same)
{
    static const char *const texts[] = {
        "[]",
        "{}",
        "[[],{},[{}]]",
        "{\"a\":[],\"b\":{},\"c\":null,\"d\":[1.5,99.9,1.0,7]}",
        "[9007199254740993,-9223372036854775808,\"123456789012345678901\"]",
        "[123456789012345678901,-9223372036854775809,1e400,1E-999,\"1e400\"]",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        f->message.body = slice_of(texts[i]);
        assert_string_equal(json(f, "msg.body"), texts[i]);
    }
    f->message.body = slice_of("[1,2]");
    RUNS(f, "local list = msg.body list[1] = nil list[2] = nil\n"
            "assert(herald.json.encode(list) == '[]')\n"
            "assert(getmetatable(list) == 'herald.array')");
}

TEST_WITH(scene, what_json_cannot_hold_is_named)
{
    static const struct {
        const char *value, *words;
    } cases[] = {
        {"print", "cannot write value as JSON: it is a function"},
        {"{ items = { 1, 2, { price = 0/0 } } }",
         "cannot write value.items[3].price as JSON: it is not a number (nan)"},
        {"{ a = { b = -math.huge } }", "cannot write value.a.b as JSON: it is infinite"},
        {"{ msg }", "cannot write value[1] as JSON: it is a userdata"},
        {"{ a = '\\xff' }", "cannot write value.a as JSON: it is not UTF-8 text"},
        {"{ ['\\xff'] = 1 }", "cannot write value.? as JSON: it is not UTF-8 text"},
        {"{ 1, x = 2 }", "cannot write value as JSON: it has list items and named fields"},
        {"{ 1, nil, 3 }", "cannot write value as JSON: the list has holes; put herald.null there"},
        {"{ [2] = 1 }", "cannot write value as JSON: the list has holes; put herald.null there"},
        {"{ a = { [0] = 1 } }",
         "cannot write value.a as JSON: a key is the number 0: keys are strings, or 1 to n"},
        {"{ [1.5] = 1 }",
         "cannot write value as JSON: a key is the number 1.5: keys are strings, or 1 to n"},
        {"{ [true] = 1 }",
         "cannot write value as JSON: a key is a boolean: keys are strings, or 1 to n"},
        {"(function() local t = {} t.a = { t } return t end)()",
         "cannot write value.a[1] as JSON: it refers back to a table it is part of"},
        {"(function() local t = {} for _ = 1, 300 do t = { t } end return t end)()",
         "it is nested too deeply"},
        {"herald.json.array(setmetatable({}, {}))",
         "herald.json.array: the table has a metatable of its own"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[512];

        snprintf(body, sizeof body, "herald.json.encode(%s)", cases[i].value);
        assert_int_equal(run(f, body), SCRIPT_FAILED);
        if (strstr(f->out.error, cases[i].words) == NULL)
            fail_msg("%s\n%s", cases[i].value, f->out.error);
    }
    RUNS(f, "local shared = { 1 } assert(herald.json.encode { shared, shared } == '[[1],[1]]')");
}

TEST_WITH(scene, floats_read_back_as_the_same_float)
{
    f->settings.handler_ms = 100000;
    RUNS(f, "local x = 0.1\n"
            "for i = 1, 2000 do\n"
            "  x = (x * 1103515245.123 + i / 7) % 1e9 * 10.0 ^ (i % 40 - 20)\n"
            "  local back = herald.json.decode(herald.json.encode(x))\n"
            "  assert(back == x and math.type(back) == 'float', x)\n"
            "end");
}

TEST_WITH(scene, a_body_over_the_limit_is_the_handlers_mistake)
{
    f->settings.memory_max = 128 * 1024 * 1024;
    FAILS(f, "tx:emit { type = 't', body = { x = ('x'):rep(16 * 1024 * 1024) } }",
          "rules/a.lua:3: JSON is over the limit of 16777216 bytes");
    FAILS(f,
          "local t, x = {}, ('x'):rep(1024 * 1024) for i = 1, 17 do t[i] = x end\n"
          "tx:emit { type = 't', body = t }",
          "rules/a.lua:4: JSON is over the limit of 16777216 bytes");
    FAILS(f, "tx:emit { type = 't', body = ('x'):rep(16 * 1024 * 1024 + 1) }",
          "rules/a.lua:3: tx:emit: the body is over the limit of 16777216 bytes");
}
