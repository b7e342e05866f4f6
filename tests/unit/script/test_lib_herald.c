/* The small change of the module herald. */
#include "fake_host.h"

static void clock_and_environment_are_there(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    setenv("HERALD_TEST_VALUE", "yes", 1);
    RUNS(&s, "assert(herald.now() == 1700000000123 and math.type(herald.now()) == 'integer')\n"
             "assert(herald.env 'HERALD_TEST_VALUE' == 'yes')\n"
             "assert(herald.env 'HERALD_TEST_NONE' == nil)");
    end(&s);
}

static void a_variables_name_is_an_identifier(void **state)
{
    static const char *const names[] = {"''", "'A-B'", "'1A'", "'A B'", "'A=1'", "'\xc3\xa4'"};
    char body[64];
    struct scene s;

    (void)state;
    begin(&s);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(body, sizeof body, "herald.env(%s)", names[i]);
        assert_int_equal(run(&s, body), SCRIPT_FAILED);
        assert_non_null(strstr(s.out.error, "cannot be the name of a variable"));
    }
    end(&s);
}

static void json_is_the_codec_of_bodies(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    s.message.body = slice_of("{\"b\":[],\"a\":9007199254740993,\"n\":null,\"r\":99.90}");
    RUNS(&s, "assert(herald.json.null == herald.null)\n"
             "assert(herald.json.encode(msg.body) == "
             "'{\"a\":9007199254740993,\"b\":[],\"n\":null,\"r\":99.9}')\n"
             "local t = herald.json.decode(msg.raw)\n"
             "assert(t.n == herald.null and t.a == 9007199254740993 and #t.b == 0)\n"
             "assert(herald.json.encode(herald.json.array {}) == '[]')\n"
             "local ok, why = pcall(herald.json.decode, '{\"a\":1,\"a\":2}')\n"
             "assert(not ok and why:find('herald.json.decode: ', 1, true))");
    FAILS(&s, "herald.json.decode()",
          "rules/a.lua:3: bad argument #1 to 'decode' (string expected, "
          "got no value)");
    end(&s);
}

static void destinations_can_be_made_by_handlers_too(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    RUNS(&s, "assert(tostring(herald.topic('x', 'a.' .. msg.type)) == 'herald.topic \"x\"')");
    FAILS(&s, "herald.route { type = 't', to = herald.queue 'q' }",
          "rules/a.lua:3: herald.route is for loading: a handler cannot change the rules");
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_and_environment_are_there),
        cmocka_unit_test(a_variables_name_is_an_identifier),
        cmocka_unit_test(json_is_the_codec_of_bodies),
        cmocka_unit_test(destinations_can_be_made_by_handlers_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
