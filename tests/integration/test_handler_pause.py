"""docs/design.md#every-message-fails-alike: a mistake that fails every message pauses its
subscription, visibly, and single messages are tried until one works, instead of turning all of them
into dead letters."""

from harness import RECORD, Case, World
from rabbit import DEAD

COUNT = 500
PAUSE_AFTER = 20
RULES = """
local herald = require "herald"
herald.route { type = "note", to = herald.fanout "$exchange" }
herald.subscribe { queue = "$queue", from = herald.fanout "$exchange", retry = { attempts = %d } }
herald.on("note", "*", function(msg, tx)
  tx:exec("insert into effect (key1, %s) values (?, ?)", msg.business_key1, msg.attempt)
end)
"""
MISTAKE = "no such column|has no column named lost"
# One message in ten never works.
POISON = """
herald.on("some", "*", function(msg, tx)
  local n = tonumber(msg.business_key1)
  if n % 10 == 0 then error("it never works") end
  tx:exec("insert into effect (key1) values (?)", msg.business_key1)
end)
herald.route { type = "some", to = herald.fanout "$exchange" }
"""


class Pause(Case):
    def mistaken(self, broker, attempts):
        """A router that has paused on the first of COUNT messages."""
        router = self.router({"migrations/001_effect.sql": RECORD,
                              "rules/a.lua": RULES % (attempts, "lost")}, broker=broker).start()
        if broker == "embedded":
            router.emit("note", "n", count=COUNT)
        else:
            peer = self.peer()
            for number in range(COUNT):
                peer.send(self.names["exchange"], f'{{"messageType":"note","businessKey1":"{number}"}}',
                          message_id=f"m{number}")
        self.wait_for("a pause", lambda: router.status()["paused"])
        self.wait_equal("nothing to be on its way", lambda: self.waiting(router), COUNT)
        return router

    def in_queue(self, router):
        if router.broker == "embedded":
            return router.value("select count(*) from herald_queue_item")
        return World.node.depth(self.names["queue"])  # those that are ready

    def waiting(self, router):
        """In the queue or as retries; the broker's own count comes late."""
        return (self.in_queue(router) or 0) + router.value("select count(*) from herald_retry")

    def check_paused(self, router):
        self.wait_equal("a probe to be over", lambda: router.live().get("unacked"), 0)
        status = router.status()
        self.assertEqual(status["state"], "running")
        self.assertEqual(status["dead"], 0)
        self.assertTrue(status["broker"]["ready"])
        self.assertLess(status["retries"], PAUSE_AFTER + 10)  # those of the streak, and probes
        self.assertLess(status["counters"]["failed"], PAUSE_AFTER)
        self.assertEqual(status["counters"]["pauses"], 1)
        paused, = status["paused"]
        self.assertEqual(paused["queue"], self.names["queue"])
        self.assertGreaterEqual(paused["failures"], PAUSE_AFTER)
        self.assertLess(paused["since"], paused["next_probe"])
        self.assert_words(paused["error"], MISTAKE)
        self.assert_words(router.run("status").out, f"queue {self.names['queue']} since", MISTAKE)
        line, = router.events("subscription.paused")
        self.assert_words(line, self.names["queue"], MISTAKE, "next_probe=")
        self.wait_resting(router)

    def check_all_applied(self, router):
        self.wait_equal("all effects", lambda: len(router.effects()), COUNT)
        self.wait_equal("nothing to be left", lambda: self.waiting(router), 0)
        status = router.status()
        self.assertEqual((status["dead"], status["retries"], status["paused"]), (0, 0, []))
        self.assertEqual(router.counter("handled"), COUNT)
        self.assertTrue(router.events("subscription.resumed"))

    def mend(self, router, attempts):
        router.write("rules/a.lua", RULES % (attempts, "attempt"))
        router.run("reload")

    def test_mended_rules_on_rabbitmq(self):
        router = self.mistaken("rabbit", 1)
        self.check_paused(router)
        self.mend(router, 1)
        self.check_all_applied(router)
        self.wait_settled(router)
        self.assertEqual(len(set(router.effects())), COUNT)
        self.assertEqual(router.column("select distinct attempt from effect"), [1])

    def test_what_the_broker_gave_up_on_is_taken_while_paused(self):
        """It lies in a queue of its own, which no pause stops; nor does it keep turns busy."""
        router = self.mistaken("rabbit", 1)
        turns = router.counter("turns")
        self.peer().send("", '{"messageType":"note","businessKey1":"lost"}',
                         routing_key=self.names["queue"] + DEAD, message_id="lost")
        self.wait_equal("a dead letter", lambda: [each["message_id"] for each in router.dead()],
                        ["lost"])
        self.assertTrue(router.status()["paused"])
        self.assertLess(router.counter("turns"), turns + 100)

    def test_mended_rules_on_the_embedded_broker(self):
        router = self.mistaken("embedded", 1)
        self.check_paused(router)
        self.mend(router, 1)
        self.check_all_applied(router)

    def test_a_column_is_added_on_rabbitmq(self):
        """The rules stay as they are: a probe finds out, here as soon as somebody says so."""
        router = self.mistaken("rabbit", 3)
        self.check_paused(router)
        router.sql("alter table effect add column lost;")
        self.assert_words(router.run("reload").out, "unchanged")
        self.check_all_applied(router)
        self.wait_settled(router)

    def test_a_column_is_added_on_the_embedded_broker(self):
        router = self.mistaken("embedded", 3)
        router.sql("alter table effect add column lost;")
        self.check_all_applied(router)

    def test_a_restart_while_paused(self):
        router = self.mistaken("rabbit", 1)
        router.stop()
        self.wait_equal("all to be with the broker or here", lambda: self.waiting(router), COUNT)
        router.start()
        self.wait_for("another pause", lambda: router.status()["paused"])
        self.assertEqual(router.status()["dead"], 0)
        self.mend(router, 1)
        self.check_all_applied(router)

    def test_a_broker_that_goes_while_paused(self):
        wire, url = self.relay()
        wire.open()
        router = self.router({"migrations/001_effect.sql": RECORD, "rules/a.lua": RULES % (1, "lost")},
                             broker=url).start()
        peer = self.peer()
        for number in range(50):
            peer.send(self.names["exchange"], '{"messageType":"note"}', message_id=f"m{number}")
        self.wait_for("a pause", lambda: router.status()["paused"])
        wire.close()
        self.wait_for("it to notice", lambda: router.live().get("ready") is False)
        wire.open()
        self.wait_for("it to come back", lambda: router.live().get("ready"))
        self.assertEqual(len(router.status()["paused"]), 1)
        self.wait_equal("nothing to be on its way", lambda: self.waiting(router), 50)
        self.assertEqual(router.status()["broker"]["unacked"], 0)
        self.mend(router, 1)
        self.wait_equal("all effects", lambda: len(router.effects()), 50)

    def test_poison_among_good_messages_never_pauses(self):
        for broker in ("embedded", "rabbit"):
            router = self.recorder(POISON, broker=broker, name=broker)
            router.start()
            router.sql("begin;" + "".join(
                "insert into herald_outbox (type, business_key1) values ('some', '%d');" % number
                for number in range(400)) + "commit;")
            self.wait_dead(router, 40)
            self.wait_equal("the others", lambda r=router: len(r.effects()), 360)
            self.assertEqual(router.counter("pauses"), 0)
            self.assertFalse(router.events("subscription.paused"))
            router.stop()

    def test_two_hundred_letters_are_replayed_into_the_same_mistake(self):
        router = self.router({"migrations/001_effect.sql": RECORD,
                              "rules/a.lua": (RULES % (1, "lost")).replace(
                                  "retry =", "pause_after = false, retry =")}, broker="embedded")
        router.start()
        router.emit("note", "n", count=200)
        self.wait_dead(router, 200)
        router.write("rules/a.lua", (RULES % (1, "lost")).replace(
            "retry =", "pause_after = 30, retry ="))
        router.stop()  # a reload refuses what no statement of the store can be
        router.start()
        router.run("dead", "replay", "--all")
        self.wait_for("a pause", lambda: router.status()["paused"])
        self.wait_equal("no letter", lambda: router.status()["dead"], 0)
        self.assertEqual(router.status()["retries"], 200)
        router.sql("alter table effect add column lost;")
        router.run("reload")
        self.wait_equal("all effects", lambda: len(router.effects()), 200)

    def test_until_idle_ends_with_what_is_paused(self):
        """It waits for probes as long as for any retry, and not for ever."""
        if not World.long:
            self.skipTest("takes two minutes")
        router = self.router({"migrations/001_effect.sql": RECORD, "rules/a.lua": RULES % (1, "lost")},
                             broker="embedded")
        router.start()
        router.stop()
        router.emit("note", "n", count=30)  # in one turn: a streak does not outlive a stop
        router.start("--until-idle", ready=False)
        self.assertEqual(router.wait_exit(180), 0)
        self.assertEqual(self.waiting(router), 30)


