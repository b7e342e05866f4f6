/* Lua values as SQL values and back. */
#include "fake_host.h"

TEST_WITH(scene, values_go_both_ways_unchanged)
{
    RUNS(f, "local function same(v) local back = tx:value('echo ?', v)\n"
            "assert(back == v and math.type(back) == math.type(v), tostring(v)) end\n"
            "for _, v in ipairs { 0, -1, math.maxinteger, math.mininteger, 9007199254740993,\n"
            "0.0, 1.5, 99.90, 1e308, math.huge, '', 'text', 'a\\0b', '\\xff\\xfe', '60201' } do\n"
            "same(v) end\n"
            "assert(tx:value('echo ?', nil) == nil and tx:value('echo ?', herald.null) == nil)\n"
            "assert(tx:value('echo ?', true) == 1 and tx:value('echo ?', false) == 0)\n"
            "local row = tx:row('echo ? ? ?', 1, nil, 'x')\n"
            "assert(row.p1 == 1 and row.p2 == nil and row.p3 == 'x')");
}

TEST_WITH(scene, text_that_is_not_utf8_is_a_blob)
{
    RUNS(f, "tx:exec('echo ? ?', '\\xff', 'caf\\u{e9}')");
    assert_int_equal(f->fake.stmt[0].bound[0].kind, VALUE_BLOB);
    assert_int_equal(f->fake.stmt[0].bound[1].kind, VALUE_TEXT);
}
