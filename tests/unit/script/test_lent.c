/* What a handler keeps is dead in the next call. */
#include "fake_host.h"

TEST_WITH(scene, a_lent_object_is_dead_once_its_handler_returned)
{
    assert_string_equal(
        load(f, "local kept\n"
                "local function refused(words, fn, ...)\n"
                "  local ok, e = pcall(fn, ...)\n"
                "  assert(not ok and e:find(words, 1, true), e)\n"
                "end\n"
                "require 'herald'.on('*', '*', function(msg, tx)\n"
                "  if kept then\n"
                "    refused('message used after its handler returned', function()\n"
                "      return kept.msg.id end)\n"
                "    refused('message used after its handler returned', function()\n"
                "      return kept.msg.body end)\n"
                "    refused('tx used after its handler returned', kept.tx.exec, kept.tx, 'none')\n"
                "  end\n"
                "  kept = { msg = msg, tx = tx }\n"
                "end)"),
        "");
    assert_int_equal(again(f), SCRIPT_DONE);
    assert_int_equal(again(f), SCRIPT_DONE);
}
