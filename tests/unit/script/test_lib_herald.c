/* The small change of the module herald. */
#include "fake_host.h"

TEST_WITH(scene, clock_and_environment_are_there)
{
    setenv("HERALD_TEST_VALUE", "yes", 1);
    RUNS(f, "assert(herald.now() == 1700000000123 and math.type(herald.now()) == 'integer')\n"
            "assert(herald.env 'HERALD_TEST_VALUE' == 'yes')\n"
            "assert(herald.env 'HERALD_TEST_NONE' == nil)");
}

TEST_WITH(scene, a_variables_name_is_an_identifier)
{
    static const char *const names[] = {"''", "'A-B'", "'1A'", "'A B'", "'A=1'", "'\xc3\xa4'"};
    char body[64];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(body, sizeof body, "herald.env(%s)", names[i]);
        assert_int_equal(run(f, body), SCRIPT_FAILED);
        assert_non_null(strstr(f->out.error, "cannot be the name of a variable"));
    }
}

TEST_WITH(scene, json_is_the_codec_of_bodies)
{
    f->message.body = slice_of("{\"b\":[],\"a\":9007199254740993,\"n\":null,\"r\":99.90}");
    RUNS(f, "assert(herald.json.null == herald.null)\n"
            "assert(herald.json.encode(msg.body) == "
            "'{\"a\":9007199254740993,\"b\":[],\"n\":null,\"r\":99.9}')\n"
            "local t = herald.json.decode(msg.raw)\n"
            "assert(t.n == herald.null and t.a == 9007199254740993 and #t.b == 0)\n"
            "assert(herald.json.encode(herald.json.array {}) == '[]')\n"
            "local ok, why = pcall(herald.json.decode, '{\"a\":1,\"a\":2}')\n"
            "assert(not ok and why:find('herald.json.decode: ', 1, true))");
    FAILS(f, "herald.json.decode()",
          "rules/a.lua:3: bad argument #1 to 'decode' (string expected, "
          "got no value)");
}

TEST_WITH(scene, destinations_can_be_made_by_handlers_too)
{
    RUNS(f, "assert(tostring(herald.topic('x', 'a.' .. msg.type)) == 'herald.topic \"x\"')");
    FAILS(f, "herald.route { type = 't', to = herald.queue 'q' }",
          "rules/a.lua:3: herald.route is for loading: a handler cannot change the rules");
}
