/* Names that are not there. */
#include "fake_host.h"

static void a_nearest_name_is_suggested(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    FAILS(&s, "return prnt 'x'", "rules/a.lua:3: undefined global 'prnt': did you mean 'print'?");
    FAILS(&s, "return strng.rep",
          "rules/a.lua:3: undefined global 'strng': did you mean 'string'?");
    FAILS(&s, "return tostrng(1)",
          "rules/a.lua:3: undefined global 'tostrng': did you mean 'tostring'?");
    FAILS(&s, "return _G.tostrng",
          "rules/a.lua:3: undefined global 'tostrng': did you mean 'tostring'?");
    FAILS(&s, "return _G[5]", "rules/a.lua:3: undefined global '5'");
    FAILS(&s, "return herald.fanot 'x'",
          "rules/a.lua:3: herald has no 'fanot': did you mean 'fanout'?");
    FAILS(&s, "herald.log.warning 'x'",
          "rules/a.lua:3: herald.log has no 'warning': did you mean 'warn'?");
    FAILS(&s, "herald.json.enc(1)",
          "rules/a.lua:3: herald.json has no 'enc': did you mean "
          "'encode'?");
    end(&s);
}

static void a_files_own_globals_are_known(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_string_equal(load(&s, "function price(x) return x end\n"
                                 "rate = nil -- says nothing: nil is not there\n"
                                 "require 'herald'.on('*', '*', function(msg)\n"
                                 "  assert(price(2) == 2)\n"
                                 "  price = function() return 3 end -- it was made above\n"
                                 "  assert(price(2) == 3)\n"
                                 "  return pric(2)\n"
                                 "end)"),
                        "");
    assert_int_equal(again(&s), SCRIPT_FAILED);
    assert_string_equal(s.out.error,
                        "rules/a.lua:7: undefined global 'pric': did you mean 'price'?");
    end(&s);
}

static void looking_without_wanting_is_possible(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    RUNS(&s, "assert(rawget(_G, 'io') == nil and rawget(_G, 'x') == nil)\n"
             "assert(load('x = 1 return x', 'c', 't', {})() == 1)\n"
             "for name in pairs(herald) do assert(herald[name] ~= nil) end");
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_nearest_name_is_suggested),
        cmocka_unit_test(a_files_own_globals_are_known),
        cmocka_unit_test(looking_without_wanting_is_possible),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
