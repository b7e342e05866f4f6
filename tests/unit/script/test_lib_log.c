/* herald.log and print. */
#include "fake_host.h"

TEST_WITH(scene, lines_carry_level_text_place_and_fields)
{
    RUNS(f, "herald.log.debug 'd' herald.log.info('i', { course = 16, b = true, a = 'x' })\n"
            "herald.log.warn(5) herald.log.error('e', {})\n"
            "print('p', 1, nil, herald.null)");
    assert_string_equal(f->fake.logged,
                        "0 script.log text=d place=rules/a.lua:3\n"
                        "1 script.log text=i place=rules/a.lua:3 a=x b=true course=16\n"
                        "2 script.log text=5 place=rules/a.lua:4\n"
                        "3 script.log text=e place=rules/a.lua:4\n"
                        "1 script.log text=p\t1\tnil\therald.null place=rules/a.lua:5\n");
}

TEST_WITH(scene, field_names_are_plain_words)
{
    static const char words[] =
        "rules/a.lua:3: herald.log: a field's name is made of letters, digits, '_', '.' and '-'";

    FAILS(f, "herald.log.info('x', { ['a b'] = 1 })", words);
    FAILS(f, "herald.log.info('x', { 1 })", words);
    FAILS(f, "herald.log.info('x', { [''] = 1 })", words);
    FAILS(f, "local t = {} for i = 1, 25 do t['k' .. i] = i end herald.log.info('x', t)",
          "rules/a.lua:3: herald.log: more than 24 fields");
    RUNS(f, "local t = {} for i = 1, 24 do t['k' .. i] = i .. '' end herald.log.info('x', t)");
    FAILS(f, "herald.log.info()", "rules/a.lua:3: bad argument #1 to 'info' (value expected)");
    FAILS(f, "herald.log.info('x', 5)",
          "rules/a.lua:3: bad argument #2 to 'info' (table expected, got number)");
}
