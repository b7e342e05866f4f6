"""herald check beside a broker and a running router: it looks, and changes nothing."""

import json
import os

from harness import Case, World

LISTEN = """
local herald = require "herald"
herald.route { type = "note", to = herald.fanout "$exchange" }
herald.subscribe { queue = "$queue", from = herald.fanout "$exchange", queue_type = "%s" }
herald.on("note", "*", function(_, tx) tx:exec("delete from effect") end)
"""
EFFECT = "create table effect (id integer primary key);\n"


class Check(Case):
    def setUp(self):
        super().setUp()
        self.node = World.node

    def make(self, queue_type="quorum", broker="rabbit"):
        return self.router({"rules/a.lua": LISTEN % queue_type, "migrations/001.sql": EFFECT},
                           name=f"{queue_type}-{len(self.routers)}", broker=broker)

    def live(self, router, code=0):
        said = router.run("check", "--live", "--json", code=code)
        found = json.loads(said.out)
        for finding in found:
            self.assertEqual(list(finding), ["file", "line", "column", "severity", "text"])
        return found

    def find(self, found, severity, *words):
        """The one finding that has these words."""
        hits = [f for f in found if all(word in f["text"] for word in words)]
        self.assertEqual([f["severity"] for f in hits], [severity], found)
        return hits[0]

    def test_live_says_what_will_be_made_and_makes_nothing(self):
        router = self.make()
        found = self.live(router)
        exchange, queue = self.names["exchange"], self.names["queue"]
        self.find(found, "note", exchange, "will be created")
        made = self.find(found, "note", queue, "will be created")
        self.assertEqual((made["file"], made["line"]), ("rules/a.lua", 4))
        self.assertIsNone(self.node.depth(queue))
        self.assertFalse(self.node.has_exchange(exchange))
        self.assertFalse(os.path.exists(router.store))

    def test_live_predicts_a_refusal(self):
        first = self.make("quorum")
        first.start()
        first.stop()
        second = self.make("classic")
        found = self.live(second, code=1)
        refused = self.find(found, "error", self.names["queue"], "quorum", "queue_type")
        self.assertEqual((refused["file"], refused["line"]), ("rules/a.lua", 4))
        text = second.run("check", "--live", code=1).out
        self.assert_words(text, r"(?m)^rules/a\.lua:4:1: error: ", "1 errors, 0 warnings")
        self.assertEqual(self.live(first), [f for f in self.live(first) if f["severity"] == "note"])

    def test_beside_a_running_router(self):
        """Also live: messages keep flowing, and the router's store is not opened."""
        router = self.router()
        router.start()
        ids = router.emit("note", "a", count=20)
        for _ in range(3):
            self.assert_words(router.run("check").out, "^ok: 1 files")
        found = self.live(router)
        self.find(found, "note", self.names["queue"], "consumer")
        self.wait_equal("the effects", router.effects, ["a"] * len(ids))
        self.assertEqual(router.status()["counters"]["duplicates"], 0)

    def test_does_not_touch_a_store(self):
        router = self.make(broker="embedded")
        router.run("run", "--until-idle")
        before = {name: os.stat(os.path.join(router.folder, name)).st_mtime_ns
                  for name in os.listdir(router.folder)}
        router.run("check")
        after = {name: os.stat(os.path.join(router.folder, name)).st_mtime_ns
                 for name in os.listdir(router.folder)}
        self.assertEqual(before, after)

    def test_live_needs_a_broker(self):
        relay, url = self.relay()
        del relay  # closed from the start
        found = self.live(self.make(broker=url), code=1)
        refused = [f for f in found if f["severity"] == "error"]
        self.assertEqual(len(refused), 1, found)
        self.assert_words(refused[0]["text"], "--live: ")

    def test_a_rule_that_runs_for_ever(self):
        router = self.make(broker="embedded")
        router.write("rules/b.lua", "while true do end")
        said = router.run("check", code=1)
        self.assert_words(said.out, r"rules/b\.lua:1:1: error: ")

    def subscribed(self, *queues):
        rules = "".join('herald.subscribe { queue = "%s" }\n' % self.names[q] for q in queues)
        return self.router({
            "rules/a.lua": 'local herald = require "herald"\n' + rules + """
                herald.on("note", "*", function(_, tx) tx:exec("delete from effect") end)
            """, "migrations/001.sql": EFFECT})

    def test_live_tells_what_a_queue_is(self):
        """Nothing is stated, and a passive declaration says nothing of it; nothing is changed."""
        kinds = {"stream": {"x-queue-type": "stream"},
                 "expiring": {"x-expires": 600000, "x-message-ttl": 1000},
                 "bare": {"x-queue-type": "quorum", "x-delivery-limit": 7},
                 "low": {"x-queue-type": "quorum", "x-delivery-limit": 1,
                         "x-dead-letter-exchange": "elsewhere"},
                 "plain": None}
        self.use_names("short", "fleeting", "absent", *kinds)
        channel = self.peer().channel
        for name, arguments in kinds.items():
            channel.queue_declare(self.names[name], durable=True, arguments=arguments)
        channel.queue_declare(self.names["short"], durable=False)
        channel.queue_declare(self.names["fleeting"], durable=True, auto_delete=True)
        router = self.subscribed("short", "fleeting", "absent", *kinds)
        found = self.live(router, code=1)
        self.find(found, "error", self.names["stream"], "is a stream")
        self.find(found, "warning", self.names["expiring"], "x-expires = 600000")
        self.find(found, "warning", self.names["short"], "not durable")
        self.find(found, "warning", self.names["fleeting"], "auto-delete")
        self.find(found, "warning", self.names["low"], "x-delivery-limit = 1", "rescue_after = 1")
        self.find(found, "note", self.names["bare"], "dead-letter queue", "delivery limit, 7")
        self.assertEqual([f for f in found if self.names["plain"] in f["text"]], [])
        self.find(found, "note", self.names["absent"], "will be created")
        self.assertIsNone(self.node.depth(self.names["absent"]))
        self.assertEqual(self.live(router, code=1), found)

    def test_a_stream_is_refused(self):
        self.use_names("stream")
        channel = self.peer().channel
        channel.queue_declare(self.names["stream"], durable=True,
                              arguments={"x-queue-type": "stream"})
        router = self.subscribed("stream", "queue").start(ready=False)
        state = self.wait_for("the stream to be refused", lambda: next(
            (b for b in [router.status()["broker"]] if "is a stream" in b["error"]), None))
        self.assertFalse(state["ready"])
        self.wait_for("the other queue", lambda: [
            line for line in router.events("broker.consuming") if self.names["queue"] in line])
