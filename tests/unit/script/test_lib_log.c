/* herald.log and print. */
#include "fake_host.h"

static void lines_carry_level_text_place_and_fields(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    RUNS(&s, "herald.log.debug 'd' herald.log.info('i', { course = 16, b = true, a = 'x' })\n"
             "herald.log.warn(5) herald.log.error('e', {})\n"
             "print('p', 1, nil, herald.null)");
    assert_string_equal(s.fake.logged,
                        "0 script.log text=d place=rules/a.lua:3\n"
                        "1 script.log text=i place=rules/a.lua:3 a=x b=true course=16\n"
                        "2 script.log text=5 place=rules/a.lua:4\n"
                        "3 script.log text=e place=rules/a.lua:4\n"
                        "1 script.log text=p\t1\tnil\therald.null place=rules/a.lua:5\n");
    end(&s);
}

static void field_names_are_plain_words(void **state)
{
    static const char words[] =
        "rules/a.lua:3: herald.log: a field's name is made of letters, digits, '_', '.' and '-'";
    struct scene s;

    (void)state;
    begin(&s);
    FAILS(&s, "herald.log.info('x', { ['a b'] = 1 })", words);
    FAILS(&s, "herald.log.info('x', { 1 })", words);
    FAILS(&s, "herald.log.info('x', { [''] = 1 })", words);
    FAILS(&s, "local t = {} for i = 1, 25 do t['k' .. i] = i end herald.log.info('x', t)",
          "rules/a.lua:3: herald.log: more than 24 fields");
    RUNS(&s, "local t = {} for i = 1, 24 do t['k' .. i] = i .. '' end herald.log.info('x', t)");
    FAILS(&s, "herald.log.info()", "rules/a.lua:3: bad argument #1 to 'info' (value expected)");
    FAILS(&s, "herald.log.info('x', 5)",
          "rules/a.lua:3: bad argument #2 to 'info' (table expected, got number)");
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_carry_level_text_place_and_fields),
        cmocka_unit_test(field_names_are_plain_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
