"""herald test: five hundred handlers beside a running router, and nothing left."""

import glob

from harness import Case, takes_long

RULES = """
local herald = require "herald"
herald.subscribe { queue = "$queue", from = herald.fanout "$exchange" }
herald.on("note", "*", function(msg, tx)
  tx:exec("insert into effect (name) values (?)", msg.business_key1)
end)
"""
EFFECT = "create table effect (id integer primary key, name text);\n"
SPEC = """
local testing = require "herald.testing"
describe("a note", function()
  for i = 1, 500 do
    it("is kept " .. i, function()
      local router = testing.start()
      router:deliver { type = "note", business_key1 = i }
      router:run()
      assert.rows(router, "select name from effect", { { tostring(i) } })
    end)
  end
end)
"""


class Testing(Case):
    @takes_long
    def test_five_hundred_beside_a_running_router(self):
        router = self.router({"rules/a.lua": RULES, "migrations/001.sql": EFFECT,
                              "spec/note_spec.lua": SPEC})
        usual = router.environment
        router.environment = lambda *words: {**usual(*words), "TMPDIR": self.folder}
        router.start()
        said = router.run("test", "--output", "plainTerminal")
        self.assert_words(said.out, "500 successes / 0 failures / 0 errors")
        self.assertEqual(glob.glob(self.folder + "/herald-test-*"), [])
        self.assertEqual(router.sql("select count(*) from effect;"), "0\n")
        router.stop()
