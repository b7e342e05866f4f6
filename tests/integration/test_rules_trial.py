"""`herald reload --trial`: the next rules on the messages of the past, before they are taken."""

import json

from harness import Case

RULES = """local herald = require "herald"
herald.subscribe { queue = "$queue", from = herald.fanout "$exchange", retry = { attempts = 1 } }
herald.route { type = "done", to = herald.fanout "$exchange" }
herald.on("note", "*", function(msg, tx)
  if msg.business_key1 == "bad" then error "as told" end
  tx:exec("insert into hits values (?, ?)", msg.id, %s)
end)
"""
NEXT = RULES.replace("end)", '  tx:emit { type = "done", business_key1 = msg.id }\nend)').replace(
    'then error "as told"', 'then herald.reject "not wanted"')


class Trial(Case):
    def setUp(self):
        super().setUp()
        self.target = self.router({"rules/a.lua": RULES % 1,
                                   "migrations/001.sql": "create table hits (id, n);"}).start()
        self.sender = self.peer()

    def handle(self, *keys):
        for number, key in enumerate(keys):
            self.sender.send(self.names["exchange"], '{"businessKey1":"%s"}' % key, type="note",
                             message_id=f"m{number}")
        self.wait_equal("all to be handled", lambda: self.target.counter("handled")
                        + self.target.counter("dead"), len(keys))

    def reload(self, rules, *words):
        return self.target.change("rules/a.lua", rules, *words)

    def state(self):
        tables = ("hits", "herald_outbox", "herald_dead", "herald_inbox", "herald_recent")
        return [self.target.rows(f"select * from {table}") for table in tables]

    def test_says_what_would_differ_and_changes_nothing(self):
        self.handle("1", "2", "bad")
        before, counters = self.state(), self.target.status()["counters"]
        said = json.loads(self.reload(NEXT % 2, "--dry-run", "--json", "--trial", "50").out)
        self.assertEqual((said["outcome"], said["trial"]["run"], said["trial"]["differing"]),
                         ("would reload", 3, 3))
        self.assertEqual(sorted(d["message_id"] for d in said["trial"]["differs"]),
                         ["m0", "m1", "m2"])
        self.assertEqual(self.state(), before)
        after = self.target.status()["counters"]
        for word in ("turns", "reloads"):  # the router has seen the files by now
            after.pop(word)
            counters.pop(word)
        self.assertEqual(after, counters)

    def test_says_it_to_people(self):
        self.handle("1", "bad")
        text = self.reload(NEXT % 2, "--trial", "50").out
        self.assert_words(text, "2 differ", "insert into hits values \\('m0', 2\\)", "emit.*done",
                          "failed.*as told", "reject.*not wanted")
        self.handle_more()
        self.assertEqual(self.target.value("select n from hits where id = 'after'"), 2)

    def test_same_effects_differ_in_nothing(self):
        self.handle("1", "bad")
        said = json.loads(self.reload("-- more words\n" + RULES % "1 + 0", "--json", "--trial",
                                      "10").out)
        self.assertEqual((said["outcome"], said["trial"]["run"], said["trial"]["differing"]),
                         ("reloaded", 2, 0))
        self.handle_more()

    def handle_more(self):
        self.sender.send(self.names["exchange"], '{"businessKey1":"9"}', type="note",
                         message_id="after")
        self.wait_equal("one more hit", lambda: self.target.value(
            "select count(*) from hits where id = 'after'"), 1)

    def test_nothing_was_handled_yet(self):
        said = json.loads(self.reload(NEXT % 2, "--json", "--trial", "10").out)
        self.assertEqual((said["outcome"], said["trial"]["run"]), ("reloaded", 0))

    def test_bad_rules_are_refused_before(self):
        self.handle("1")
        self.target.write("rules/a.lua", "oops")
        said = self.target.run("reload", "--trial", "10", code=1)
        self.assert_words(said.err, "rules/a.lua:1")

    def test_ring_can_be_off(self):
        quiet = self.router({"rules/a.lua": RULES % 1,
                             "migrations/001.sql": "create table hits (id, n);"}, name="quiet",
                            broker="embedded", recent_messages=0).start()
        quiet.write("rules/a.lua", NEXT % 2)
        quiet.emit("done")
        self.assertEqual(quiet.json("reload", "--trial", "10")["trial"]["run"], 0)
        self.assertEqual(quiet.value("select count(*) from herald_recent"), 0)
