"""What each try came to, and what was settled: both are there to look at afterwards."""

from harness import Case

FAILING = """
herald.subscribe { queue = "$slow", retry = { attempts = 3, delay = "$delay" } }
herald.route { type = "failing", to = herald.queue "$slow" }
local function deeper(msg)
  error("try " .. msg.attempt .. " of " .. msg.business_key1)
end
herald.on("failing", "*", function(msg)
  deeper(msg)
  return true -- no tail call: its line is in the traceback
end)
"""
ROUTES = """
herald.route { type = "ignored", to = herald.fanout "$exchange" }
herald.route { type = "lost", to = herald.fanout "$nobody", unroutable = "drop" }
"""


class OnRabbit(Case):
    """The same on both brokers."""

    kind = "rabbit"

    def failing(self, delay):
        self.use_names("slow")
        self.names["delay"] = delay
        return self.recorder(FAILING, broker=self.kind).start()

    def looking_back(self, **settings):
        self.use_names("nobody")
        return self.recorder(ROUTES, broker=self.kind, **settings).start()

    def outcomes(self, router):
        return sorted((row["outcome"], row["type"], row["message_id"], row["attempts"])
                      for row in router.json("history", "list"))

    # --- every error of every attempt ---

    def test_three_failures_across_a_restart(self):
        router = self.failing("1h")
        router.emit("failing", "16", "60201")
        for number in (1, 2):
            self.wait_equal("a failed try", lambda: [
                row["attempts"] for row in router.json("retries", "list")], [number])
            retry = router.json("retries", "list")[0]
            self.assertEqual([one["attempt"] for one in retry["tries"]], list(range(1, number + 1)))
            router.stop() if number == 1 else router.kill()
            router.start()
            router.run("retries", "now", "--all")
        letter = self.wait_dead(router, 1)[0]
        self.assertEqual(router.json("dead", "show", str(letter["id"])), letter)
        tries = letter["tries"]
        self.assertEqual([one["attempt"] for one in tries], [1, 2, 3])
        self.assertEqual([one["generation"] for one in tries], [1, 1, 1])
        self.assertEqual(sorted(one["at"] for one in tries), [one["at"] for one in tries])
        for number, one in enumerate(tries, 1):
            self.assert_words(one["error"], rf"rules/b\.lua:\d+: try {number} of 16$")
            first, second = one["traceback"].splitlines()[:2]
            self.assert_words(first, r"rules/b\.lua:6 ")
            self.assert_words(second, r"rules/b\.lua:9 ")
        shown = router.run("dead", "show", str(letter["id"])).out
        for number in (1, 2, 3):
            self.assert_words(shown, rf"Z  {number} +generation 1  rules/b\.lua:6: try {number} of 16")

    def test_history_goes_on_after_a_replay(self):
        router = self.failing("10ms")
        router.emit("failing", "16")
        letter = self.wait_dead(router, 1)[0]
        router.run("dead", "replay", "--all")
        self.wait_equal("another letter", lambda: [
            [one["attempt"] for one in row["tries"]]
            for row in router.dead() if row["id"] != letter["id"]], [[1, 2, 3, 1, 2, 3]])

    def test_a_waiting_retry_is_shown_whole(self):
        router = self.failing("1h")
        router.emit("failing", "16", "60201")
        self.wait_equal("a failed try", lambda: router.status()["retries"], 1)
        number = router.json("retries", "list")[0]["id"]
        retry = router.json("retries", "show", str(number))
        self.assert_words(retry["body"], '"businessKey1":"16"')
        self.assertEqual(retry["order_type"], "60201")
        self.assertEqual(len(retry["tries"]), 1)
        self.assert_words(router.run("retries", "show", str(number)).out, "try 1 of 16", r"state +waiting")
        self.assert_words(router.run("retries", "show", "99", code=1).err,
                          "no retry 99: `herald retries list`")

    # --- settled messages ---

    def test_settled_messages_are_listed(self):
        router = self.looking_back(history="1h")
        router.emit("note", "16", "60201")
        router.emit("ignored")
        router.emit("lost")
        store = router.value("select store_id from herald_epoch")
        wanted = sorted([
            ("confirmed", "note", f"{store}:1", 1), ("done", "note", f"{store}:1", 1),
            ("confirmed", "ignored", f"{store}:2", 1), ("unhandled", "ignored", f"{store}:2", 1),
            ("dropped", "lost", f"{store}:3", 1)])
        self.wait_equal("all of it", lambda: self.outcomes(router), wanted)
        rows = router.json("history", "list")
        self.assertEqual([row["at"] for row in rows], sorted((row["at"] for row in rows), reverse=True))
        only = router.json("history", "list", "--type", "note", "--order-type", "60201", "--side",
                           "inbox", "--queue", self.names["queue"], "--since", "1h")
        self.assertEqual([row["outcome"] for row in only], ["done"])
        self.assertEqual(router.json("history", "list", "--before", "1h"), [])
        first = router.json("history", "list", "--limit", "2")
        rest = router.json("history", "list", "--after", str(first[1]["id"]))
        self.assertEqual(first + rest, rows)
        whole = router.json("history", "show", str(only[0]["id"]))
        self.assertEqual(whole["body"], '{"businessKey1":"16","businessKey2":"60201","id":1,'
                                        '"messageType":"note"}')
        sent = [row for row in rows if row["side"] == "outbox" and row["type"] == "note"][0]
        self.assertEqual(router.json("history", "show", str(sent["id"]))["body"], whole["body"])
        self.assert_words(router.run("history", "show", "99", code=1).err, "no message 99 in the history")
        router.stop()
        self.assertEqual(self.outcomes(router), wanted)

    def test_old_ones_are_pruned_and_a_reload_turns_it_off(self):
        router = self.looking_back(history="1h")
        router.emit("note", "old", count=300)
        self.wait_equal("all of them", lambda: len(router.effects()), 300)
        self.wait_drained(router)
        router.stop()
        self.assertEqual(len(router.json("history", "list", "--limit", "1000")), 600)
        router.sql("update herald_history set at = at - 3600000 where id <= 500;")
        router.start()
        self.wait_equal("the young ones", lambda: router.value(
            "select count(*) from herald_history"), 100)
        router.write("herald.lua", "return { history = false }\n")
        self.assert_words(router.run("reload").out, r"setting +history|unchanged")
        self.wait_equal("none", lambda: router.json("history", "list"), [])
        router.emit("note", "new")
        self.wait_equal("it", lambda: len(router.effects()), 301)
        self.wait_drained(router)
        self.assertEqual(router.run("history", "list").out,
                         'no history: herald.lua has no history = "30d"\n')


class OnEmbedded(OnRabbit):
    kind = "embedded"
