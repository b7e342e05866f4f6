"""herald doctor beside a broker and a running router: it finds, and changes nothing."""

import json
import os
import socket
import threading

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

    def answer(self, path, answers):
        """Somebody who is no router answers on its socket, once with each; returns the thread."""
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(path)
        listener.listen()

        def serve():
            for said in answers:
                connection = listener.accept()[0]
                connection.recv(4096)
                connection.sendall(said)
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        return thread

    def test_garbage_on_the_socket(self):
        router = self.router(broker="embedded")
        router.run("run", "--until-idle")
        garbage = [b"garbage", b"{garbage", b'{"a":1}\n{x', b"\x00\xff" * 3000, b"{" * 70000]
        thread = self.answer(os.path.join(router.folder, "herald.sock"), [g for g in garbage for _ in (1, 2)])
        for said in garbage:
            self.find(self.doctor(router), "warning", "socket", "no router of this store")
            err = router.run("reload", code=1).err
            self.assertNotIn("internal error", err, said)
            self.assertTrue(err.startswith("herald: "), err)
        thread.join(10)
