/* Names that are not there. */
#include "fake_host.h"

TEST_WITH(scene, a_nearest_name_is_suggested)
{
    FAILS(f, "return prnt 'x'", "rules/a.lua:3: undefined global 'prnt': did you mean 'print'?");
    FAILS(f, "return strng.rep", "rules/a.lua:3: undefined global 'strng': did you mean 'string'?");
    FAILS(f, "return tostrng(1)",
          "rules/a.lua:3: undefined global 'tostrng': did you mean 'tostring'?");
    FAILS(f, "return _G.tostrng",
          "rules/a.lua:3: undefined global 'tostrng': did you mean 'tostring'?");
    FAILS(f, "return _G[5]", "rules/a.lua:3: undefined global '5'");
    FAILS(f, "return herald.fanot 'x'",
          "rules/a.lua:3: herald has no 'fanot': did you mean 'fanout'?");
    FAILS(f, "herald.log.warning 'x'",
          "rules/a.lua:3: herald.log has no 'warning': did you mean 'warn'?");
    FAILS(f, "herald.json.enc(1)",
          "rules/a.lua:3: herald.json has no 'enc': did you mean "
          "'encode'?");
}

TEST_WITH(scene, a_files_own_globals_are_known)
{
    assert_string_equal(load(f, "function price(x) return x end\n"
                                "rate = nil -- says nothing: nil is not there\n"
                                "require 'herald'.on('*', '*', function(msg)\n"
                                "  assert(price(2) == 2)\n"
                                "  price = function() return 3 end -- it was made above\n"
                                "  assert(price(2) == 3)\n"
                                "  return pric(2)\n"
                                "end)"),
                        "");
    assert_int_equal(again(f), SCRIPT_FAILED);
    assert_string_equal(f->out.error,
                        "rules/a.lua:7: undefined global 'pric': did you mean 'price'?");
}

TEST_WITH(scene, looking_without_wanting_is_possible)
{
    RUNS(f, "assert(rawget(_G, 'io') == nil and rawget(_G, 'x') == nil)\n"
            "assert(load('x = 1 return x', 'c', 't', {})() == 1)\n"
            "for name in pairs(herald) do assert(herald[name] ~= nil) end");
}
