/* JSON to Lua: nothing is changed silently. */
#include "fake_host.h"

TEST_WITH(scene, integers_are_exact_to_64_bits)
{
    f->message.body = slice_of(
        "{\"max\":9223372036854775807,\"min\":-9223372036854775808,\"snow\":9007199254740993,"
        "\"over\":9223372036854775808,\"under\":-9223372036854775809,"
        "\"big\":123456789012345678901234567890,\"zero\":0,\"minus\":-0}");
    RUNS(f, "local b = msg.body\n"
            "assert(b.max == math.maxinteger and b.min == math.mininteger)\n"
            "assert(math.type(b.max) == 'integer' and math.type(b.min) == 'integer')\n"
            "assert(b.snow == 9007199254740993 and math.type(b.snow) == 'integer')\n"
            "assert(tostring(b.over) == '9223372036854775808')\n"
            "assert(tostring(b.under) == '-9223372036854775809')\n"
            "assert(tostring(b.big) == '123456789012345678901234567890')\n"
            "assert(b.zero == 0 and b.minus == 0 and math.type(b.minus) == 'integer')");
}

TEST_WITH(scene, reals_are_floats)
{
    f->message.body = slice_of("[1.0,99.90,1e2,-0.5,5e-324,1.7976931348623157e308,1e999,-1e999,"
                               "1e-999,0.0e5]");
    RUNS(f, "local b = msg.body\n"
            "assert(math.type(b[1]) == 'float' and b[1] == 1 and b[2] == 99.9 and b[3] == 100)\n"
            "assert(math.type(b[3]) == 'float' and b[4] == -0.5 and b[5] > 0)\n"
            "assert(b[6] < math.huge and tostring(b[7]) == '1e999')\n"
            "assert(tostring(b[8]) == '-1e999' and tostring(b[9]) == '1e-999' and b[10] == 0)\n"
            "assert(math.type(b[10]) == 'float')");
}

/* Neither a string, which JSON would quote, nor a float, which is another number. */
TEST_WITH(scene, a_number_that_lua_has_not_keeps_its_text)
{
    f->message.body = slice_of("{\"a\":123456789012345678901234567890,\"b\":1e400,"
                               "\"c\":123456789012345678901234567890,\"d\":-1E+400}");
    RUNS(f, "local b = msg.body\n"
            "assert(type(b.a) == 'userdata' and getmetatable(b.a) == 'herald.number')\n"
            "assert(tostring(b.a) == '123456789012345678901234567890' and b.a == b.c)\n"
            "assert(b.a ~= b.b and b.a ~= 1 and b.a ~= tostring(b.a))\n"
            "assert('n ' .. b.b == 'n 1e400' and b.b .. '!' == '1e400!' and b.a .. b.b == "
            "'1234567890123456789012345678901e400')\n"
            "assert(tx:value('echo ?', b.a) == '123456789012345678901234567890')\n"
            "local ok, e = pcall(function() return b.a + 1 end)\n"
            "assert(e:find('arithmetic on a herald.number value', 1, true), e)\n"
            "assert(not pcall(function() b.a.x = 1 end))");
    assert_int_equal(f->fake.stmt[0].bound[0].kind, VALUE_TEXT);
    RUNS(f, "tx:emit { type = 't', business_key1 = msg.body.a, body = msg.body,\n"
            "headers = { n = msg.body.a } }");
    assert_string_equal(f->fake.emitted, " type=t key1=123456789012345678901234567890 "
                                         "headers={\"n\":123456789012345678901234567890} "
                                         "body={\"a\":123456789012345678901234567890,\"b\":1e400,"
                                         "\"c\":123456789012345678901234567890,\"d\":-1E+400}");
    f->fake.emitted[0] = '\0';
    RUNS(f, "tx:emit { type = 't', body = { msg.body.b, { x = msg.body.a } } }");
    assert_string_equal(f->fake.emitted,
                        " type=t body=[1e400,{\"x\":123456789012345678901234567890}]");
}

TEST_WITH(scene, null_is_kept)
{
    f->message.body = slice_of("{\"a\":null,\"list\":[null,1,null]}");
    RUNS(f, "local b = msg.body\n"
            "assert(b.a == herald.null and b.list[1] == herald.null and #b.list == 3)\n"
            "assert(b.list[3] == herald.null and tostring(b.a) == 'herald.null')\n"
            "assert(herald.json.decode('null') == herald.null)\n"
            "local ok, e = pcall(function() return b.a.x end)\n"
            "assert(e:find('index a herald.null value'), e)");
}

TEST_WITH(scene, strings_keys_and_nesting_arrive_whole)
{
    f->message.body = slice_of("{\"k\\u0000y\":\"a\\u0000b\",\"\":\"\\ud83d\\ude00\",\"t\":true,"
                               "\"f\":false,\"deep\":[[[{\"x\":[]}]]]}");
    RUNS(f, "local b = msg.body\n"
            "assert(b['k\\0y'] == 'a\\0b' and b[''] == '\\u{1f600}')\n"
            "assert(b.t == true and b.f == false and #b.deep[1][1][1].x == 0)");
}

TEST_WITH(scene, deep_and_wide_values_arrive_whole)
{
    f->settings.handler_ms = 100000;
    RUNS(f, "local text = ('['):rep(200) .. (']'):rep(200)\n"
            "local v, depth = herald.json.decode(text), 0\n"
            "while v[1] do v, depth = v[1], depth + 1 end assert(depth == 199)\n"
            "local parts = {} for i = 1, 50000 do parts[i] = tostring(i) end\n"
            "v = herald.json.decode('[' .. table.concat(parts, ',') .. ']')\n"
            "assert(#v == 50000 and v[50000] == 50000)\n"
            "for i = 1, 2000 do parts[i] = ('\"k%d\":{\"v\":%d}'):format(i, i) end\n"
            "v = herald.json.decode('{' .. table.concat(parts, ',', 1, 2000) .. '}')\n"
            "assert(v.k1.v == 1 and v.k2000.v == 2000)");
}

TEST_WITH(scene, bad_json_says_where)
{
    FAILS(f, "herald.json.decode '{\"a\":1,\"a\":2}'",
          "rules/a.lua:3: herald.json.decode: bad JSON at byte 10: duplicate key \"a\"");
    FAILS(f, "herald.json.decode '\\xff'",
          "rules/a.lua:3: herald.json.decode: bad UTF-8 at byte 0");
    assert_int_equal(run(f, "herald.json.decode(('['):rep(201) .. (']'):rep(201))"), SCRIPT_FAILED);
    assert_non_null(strstr(f->out.error, "nested too deeply"));
    assert_int_equal(run(f, "herald.json.decode ''"), SCRIPT_FAILED);
    assert_int_equal(run(f, "herald.json.decode '1 2'"), SCRIPT_FAILED);
    assert_int_equal(run(f, "herald.json.decode({})"), SCRIPT_FAILED);
}
