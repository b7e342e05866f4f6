"""What a handler refuses: tried again from the store, and at last a dead letter."""

import json
import time

from harness import Case

FLAKY = """
herald.on("flaky", "*", function(msg, tx)
  tx:exec("insert into effect (key1, attempt) values (?, ?)", msg.business_key1, msg.attempt)
  if msg.attempt < 3 then error("not yet") end
end)
"""
HOPELESS = """
herald.on("hopeless", "*", function(msg, tx)
  tx:exec("insert into effect (key1) values ('undone')")
  error("it broke")
end)
"""
ROUTES = """
herald.route { type = "flaky", to = herald.fanout "$exchange" }
herald.route { type = "hopeless", to = herald.fanout "$exchange" }
"""
SLOW = """
herald.subscribe { queue = "$slow", retry = { attempts = 3, delay = "1h" } }
"""
HOPELESS_LINE = 5  # of the error in a router's rules/b.lua whose first rule is HOPELESS


class Retries(Case):
    def embedded(self, rules):
        return self.recorder(rules, broker="embedded").start()

    def test_fails_twice_then_works(self):
        router = self.embedded(FLAKY + ROUTES)
        router.emit("flaky", "x")
        self.wait_equal("the third try", lambda: router.rows(
            "select key1, attempt from effect"), [("x", 3)])
        status = router.status()
        self.assertEqual((status["retries"], status["dead"]), (0, 0))
        counters = status["counters"]
        self.assertEqual((counters["failed"], counters["retried"], counters["handled"]), (2, 2, 1))

    def test_always_fails(self):
        router = self.embedded(HOPELESS + ROUTES)
        router.emit("hopeless", "x", "60201")
        letter = self.wait_dead(router, 1)[0]
        self.assertEqual((letter["attempts"], letter["type"], letter["order_type"]),
                         (3, "hopeless", "60201"))
        self.assertIn(f"rules/b.lua:{HOPELESS_LINE}: it broke", letter["error"])
        self.assertEqual(letter["generation"], 1)
        self.assertEqual(json.loads(letter["body"])["businessKey1"], "x")
        self.assertIn("rules/b.lua", letter["traceback"])
        self.assertEqual(router.effects(), [])
        self.assertEqual(router.counter("failed"), 3)

    def test_rejected_is_dead_at_once(self):
        router = self.embedded("""
            herald.route { type = "rejected", to = herald.fanout "$exchange" }
            herald.on("rejected", "*", function(msg, tx)
              tx:exec("insert into effect (key1) values ('undone')")
              pcall(function() herald.reject("never: 不") end)
              herald.reject("never: 不")
            end)
            """)
        router.emit("rejected")
        letter = self.wait_dead(router, 1)[0]
        self.assert_words(letter["error"], r"rules/b\.lua:\d+: never: 不")
        self.assertEqual(letter["attempts"], 1)
        self.assertEqual(router.effects(), [])

    def test_handler_asks_for_a_retry(self):
        router = self.embedded("""
            herald.route { type = "polite", to = herald.fanout "$exchange" }
            herald.on("polite", "*", function(msg, tx)
              if msg.attempt == 1 then herald.retry("1ms", "in a moment") end
              tx:exec("insert into effect (key1, attempt) values ('done', ?)", msg.attempt)
            end)
            """)
        router.emit("polite")
        self.wait_equal("the second try", lambda: router.rows(
            "select key1, attempt from effect"), [("done", 2)])

    def test_many_fail_and_others_go_on(self):
        """Invariant I8: what waits for its retry holds up nobody."""
        self.use_names("slow")
        router = self.recorder(SLOW + HOPELESS).start()
        peer = self.peer()
        for number in range(50):
            peer.send("", "{}", routing_key=self.names["slow"], type="hopeless",
                      message_id=f"bad-{number}")
            peer.send("", "{}", routing_key=self.names["slow"], type="note",
                      headers={"business-key-1": str(number)})
        self.wait_equal("the good ones", router.effects, [str(n) for n in range(50)])
        self.wait_equal("the others to wait", lambda: router.status()["retries"], 50)
        self.wait_settled(router, "slow")
        self.wait_resting(router)

    def test_same_message_while_its_retry_waits(self):
        """docs/faults.md#f44"""
        self.use_names("slow")
        router = self.recorder(SLOW + HOPELESS).start()
        peer = self.peer()
        for _ in range(3):
            peer.send("", "{}", routing_key=self.names["slow"], type="hopeless", message_id="same")
        self.wait_equal("two duplicates", lambda: router.counter("duplicates"), 2)
        self.assertEqual(router.rows("select message_id, attempts from herald_retry"),
                         [("same", 1)])
        self.assertEqual(router.counter("failed"), 1)

    def test_redelivery_after_a_committed_attempt(self):
        """docs/faults.md#f1, between commit and ack: the acks are lost on the wire."""
        self.use_names("slow")
        relay, url = self.relay()
        relay.open()
        router = self.recorder(SLOW + HOPELESS + """
            herald.on("rejected", "*", function() herald.reject("no") end)
            """, broker=url).start()
        relay.swallow()
        peer = self.peer()
        for type_ in ("hopeless", "rejected", "note"):
            peer.send("", "{}", routing_key=self.names["slow"], type=type_, message_id=type_,
                      headers={"business-key-1": type_})

        def outcome():
            return (router.rows("select message_id, attempts from herald_retry"),
                    router.column("select message_id from herald_dead"), router.effects())
        wanted = ([("hopeless", 1)], ["rejected"], ["note"])
        self.wait_equal("all three outcomes", outcome, wanted)
        relay.close()
        relay.open()
        self.wait_equal("three redeliveries", lambda: router.counter("duplicates"), 3)
        self.wait_settled(router, "slow")
        self.assertEqual(outcome(), wanted)
        self.assertEqual(router.counter("delivered"), 6)

    def test_retries_survive_a_kill(self):
        router = self.recorder("""
            herald.on("late", "*", function(msg, tx)
              if msg.attempt < 3 then herald.retry("1500ms") end
              tx:exec("insert into effect (key1, attempt) values (?, ?)",
                msg.business_key1, msg.attempt)
            end)
            """).start()
        peer = self.peer()
        for number in range(20):
            peer.send(self.names["exchange"], "{}", type="late", message_id=str(number),
                      headers={"business-key-1": str(number)})
        for attempt in (1, 2):
            self.wait_equal(f"try {attempt} of all", lambda: router.rows(
                "select count(*), min(attempts) from herald_retry"), [(20, attempt)])
            router.kill()
            router.start()
        self.wait_equal("the third try of all", lambda: sorted(router.rows(
            "select key1, attempt from effect")), sorted((str(n), 3) for n in range(20)))
        self.assertEqual(router.status()["retries"], 0)
        self.assertEqual(router.dead(), [])

    def test_retry_keeps_its_time(self):
        """It does not come early, and comes while nothing else wakes the router."""
        router = self.embedded("""
            herald.route { type = "timed", to = herald.fanout "$exchange" }
            herald.on("timed", "*", function(msg, tx)
              if msg.attempt == 1 then herald.retry("1s") end
              tx:exec("insert into effect (key1) values (?)", tostring(herald.now()))
            end)
            """)
        began = time.time()
        router.emit("timed")
        done = self.wait_for("the second try", router.effects)[0]
        self.assertGreaterEqual(int(done) / 1000 - began, 0.99)

    def test_retry_without_its_subscription_waits(self):
        self.use_names("slow")
        router = self.recorder("""
            herald.subscribe { queue = "$slow", retry = { attempts = 5, delay = "200ms" } }
            """ + FLAKY).start()
        self.peer().send("", "{}", routing_key=self.names["slow"], type="flaky", message_id="m",
                         headers={"business-key-1": "kept"})
        self.wait_for("a retry", lambda: router.rows("select 1 from herald_retry"))
        router.stop()
        router.write("rules/b.lua", 'local herald = require "herald"\n')
        router.start()
        self.wait_equal("it to be seen as orphaned", lambda: router.value(
            "select count(*) from herald_retry where error like 'orphaned%'"), 1)
        self.assertEqual(router.status()["retries"], 1)
        self.assertEqual(router.dead(), [])
