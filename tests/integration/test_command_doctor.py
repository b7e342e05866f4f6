"""herald doctor beside a broker and a running router: it finds, and changes nothing."""

import json

from harness import Case, World

LISTEN = """
local herald = require "herald"
herald.subscribe { queue = "$queue", from = herald.fanout "$exchange", queue_type = "%s" }
herald.on("note", "*", function() end)
"""


class Doctor(Case):
    def doctor(self, router, *words, code=0):
        said = json.loads(router.run("doctor", "--json", *words, code=code).out)
        self.assertEqual(said["errors"] > 0, code == 1, said)
        return said["findings"]

    def find(self, found, severity, area, *words):
        hits = [f for f in found if f["severity"] == severity and f["area"] == area
                and all(word in f["what"] for word in words)]
        self.assertTrue(hits, found)
        return hits[0]

    def test_beside_a_running_router(self):
        router = self.router()
        router.start()
        found = self.doctor(router)
        self.find(found, "ok", "router", "answers")
        self.find(found, "ok", "integrity", "quick_check")
        self.find(found, "ok", "broker", "RabbitMQ", "reached as user tester")
        ids = router.emit("note", "a", count=5)
        self.wait_equal("the effects", router.effects, ["a"] * len(ids))

    def test_a_queue_that_is_otherwise_and_a_broker_that_is_away(self):
        first = self.router({"rules/a.lua": LISTEN % "quorum"}, name="quorum")
        first.start()
        first.stop()
        second = self.router({"rules/a.lua": LISTEN % "classic"}, name="classic")
        refused = self.find(self.doctor(second, code=1), "error", "broker", self.names["queue"], "quorum")
        self.assertIn("check --live", refused["do"])
        away = self.find(self.doctor(first, "--broker", "amqp://shop:secret@127.0.0.1:1", code=1), "error", "broker",
                         "as user shop", "refused")
        self.assertNotIn("secret", json.dumps(away))
        self.find(self.doctor(first, "--offline"), "note", "router", "none runs")
        self.assertIsNotNone(World.node.depth(self.names["queue"]))
