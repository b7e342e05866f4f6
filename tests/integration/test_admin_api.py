"""The JSON API of the admin door: it is the command line."""

import os
import signal
import time

from door import Door

FILTERED = "type=note&queue=$queue&since=1d"


class Api(Door):
    def fill(self, router):
        """Something of every kind: a dead letter, a retry, a message that is finished, rows that wait."""
        router.emit("note", "bad", "60201")
        router.emit("note", "later")
        router.emit("note", "good")
        router.json("emit", "--type", "note", "--key1", "due", "--delay", "1h", "--key", "close-16")
        self.wait_equal("it all to be tried", lambda: (router.counter("dead"), router.counter("handled"),
                                                       router.status()["retries"]), (1, 1, 1))
        self.wait_equal("the outbox to rest", lambda: router.status()["outbox"]["pending"], 1)

    def test_listings_are_the_commands(self):
        """The same JSON as --json prints, with the same filters."""
        router = self.open(history="1d")
        self.fill(router)
        queue = self.names["queue"]
        for path, words in (
                ("/v1/outbox", "outbox list"), ("/v1/outbox?key1=due&older_than=0s", "outbox list --key1 due --older-than 0s"),
                ("/v1/outbox/4", "outbox show 4"),
                ("/v1/retries", "retries list"), (f"/v1/retries?queue={queue}", f"retries list --queue {queue}"),
                ("/v1/retries/1", "retries show 1"),
                ("/v1/dead", "dead list"), ("/v1/dead?key1=bad&order_type=60201&limit=1", "dead list --key1 bad --key2 60201"),
                ("/v1/dead?error=no%20such", "dead list --error such"), ("/v1/dead?error=other", "dead list --error other"),
                ("/v1/dead?side=outbox", "dead list --side outbox"),
                ("/v1/dead/1", "dead show 1"), ("/v1/dead/groups", "dead groups"), ("/v1/lanes", "lanes list"),
                ("/v1/history", "history list"), ("/v1/history?after=2", "history list --after 2"),
                ("/v1/history/1", "history show 1"), ("/v1/trace?key1=bad", "trace --key1 bad"),
                ("/v1/version", "version")):
            with self.subTest(path):
                self.assertEqual(self.get(path).json, router.json(*words.split()))
        self.assertEqual(len(self.get("/v1/history").json), 4)
        said, told = self.get("/v1/status").json, router.status()
        self.assertEqual(said["dead"], 1)
        self.assertEqual(list(said), list(told))
        self.assertEqual(self.get("/v1/trace?message_id=unheard-of").json["steps"], [])
        self.assertEqual(self.ask("HEAD", "/v1/status").text, "")

    def test_changes_are_the_commands(self):
        """What a command changes, a POST changes; dry runs change nothing."""
        router = self.open(history="1d")
        self.fill(router)
        for path, body, done in (
                ("/v1/dead/replay", {"ids": [1, 7], "dry_run": True}, {"replayed": 1, "skipped": 1, "dry_run": True}),
                ("/v1/dead/drop", {"type": "other"}, {"dropped": 0, "skipped": 0, "dry_run": False}),
                ("/v1/retries/now", {"all": True, "dry_run": True}, {"made_due": 1, "skipped": 0, "dry_run": True}),
                ("/v1/retries/drop", {"all": True}, {"dropped": 1, "skipped": 0, "dry_run": False}),
                ("/v1/outbox/retry", {"all": True}, {"retried": 0, "skipped": 0, "dry_run": False}),
                ("/v1/outbox/drop", {"all": True, "dry_run": True}, {"dropped": 1, "skipped": 0, "dry_run": True}),
                ("/v1/outbox/cancel", {"key": "close-16"}, {"key": "close-16", "outcome": "cancelled"}),
                ("/v1/dead/1/edit", {"key1": "good", "dry_run": True}, {"edited": 0, "dry_run": True}),
                ("/v1/dead/1/edit", {"body": {"businessKey1": "good", "sum": 1.50}, "headers": {"x": "1", "y": None}},
                 {"edited": 1, "dry_run": False})):
            with self.subTest(path):
                self.assertEqual(self.post(path, body).json, done)
        letter = self.get("/v1/dead/1").json
        self.assertEqual((letter["body"], letter["business_key1"]), ('{"businessKey1":"good","sum":1.5}', "good"))
        self.assertIn('"x":"1"', letter["headers"])
        self.assertEqual(self.post("/v1/outbox/cancel", {"key": "close-16"}, 409).json,
                         {"key": "close-16", "outcome": "none"})
        self.assertEqual(self.post("/v1/dead/replay", {"all": True}).json["replayed"], 1)
        self.wait_equal("the work", lambda: router.counter("handled"), 2)
        self.assertEqual(router.value("select count(*) from herald_outbox"), 0)

    def test_lanes_are_released(self):
        router = self.open(rules="""
            local herald = require "herald"
            herald.route { type = "note", to = herald.fanout "$exchange" }
            herald.subscribe { queue = "$queue", from = herald.fanout "$exchange", order_by = "business_key1",
              retry = { attempts = 9, delay = "1h" } }
            herald.on("note", "*", function(msg) if msg.business_key2 == "bad" then error "not now" end end)
        """)
        router.emit("note", "16", "bad")
        router.emit("note", "16", "good")
        lane, = self.wait_for("a lane", lambda: self.get("/v1/lanes").json)
        self.assertEqual(self.post("/v1/lanes/release", {"head": lane["head"], "ids": [lane["id"]]}).json["released"], 1)
        self.wait_equal("the one behind it", lambda: router.counter("handled"), 1)

    def test_reload_and_trial(self):
        """They go to the router that runs; what it refuses is 409 with its words."""
        router = self.open()
        router.emit("note", "good")
        self.wait_equal("the work", lambda: router.counter("handled"), 1)
        self.assertEqual(self.post("/v1/reload", {"dry_run": True}).json["outcome"], "unchanged")
        self.assertEqual(self.post("/v1/trial", {"messages": 5}).json["trial"]["run"], 1)
        self.assertEqual(self.post("/v1/trial", {}).json["trial"]["differing"], 0)
        router.write("rules/b.lua", "this is no Lua")
        answer = self.post("/v1/reload", {}, 409).json
        self.assertEqual(answer["outcome"], "refused")
        self.assertIn("rules/b.lua:1", answer["error"])
        self.assertIn("rules/b.lua:1", self.get("/v1/status").json["rules"]["error"])
        self.assertEqual(self.post("/v1/reload", {"trial": "x"}, 400).wrong, "trial must be a whole number")

    def test_settings_of_the_router_are_used(self):
        """Not those that lie in the folder by now, broken or not."""
        router = self.open(store="own.db")
        router.emit("note", "bad")
        self.wait_dead(router, 1)
        router.write("herald.lua", "this is no Lua")
        self.assertEqual(len(self.get("/v1/dead").json), 1)
        self.assertEqual(self.get("/v1/status").json["running"], True)

    def test_messages(self):
        """One or a batch, all or none; what is wrong says which and why."""
        router = self.open()
        ids = self.post("/v1/messages", {"type": "note", "key1": "good"}, 202).json["message_ids"]
        self.assertEqual(ids, [router.value("select message_id from herald_inbox where message_id <> ''")]
                         if self.wait_for("the work", lambda: router.counter("handled") == 1) else None)
        batch = [{"type": "note", "key1": "due", "delay": "1h", "key": "a", "message_id": "own"},
                 {"type": "note", "at": "2100-01-01T00:00:00Z", "headers": {"h": 1, "b": {"base64": "AA=="}},
                  "properties": {"priority": 5}, "body": {"n": 12345678901234567890, "x": [1.50, None, "\u00fc"]}}]
        ids = self.post("/v1/messages", {"messages": batch}, 202).json["message_ids"]
        rows = router.rows("select message_id, key, headers, properties, body, due_at from herald_outbox order by id")
        self.assertEqual(rows[0][:2], ("own", "a"))
        self.assertEqual(rows[1][2:5], ('{"h":1,"b":{"base64":"AA=="}}', '{"priority":5}',
                                        '{"n":12345678901234567890,"x":[1.5,null,"\u00fc"]}'.encode()))
        self.assertEqual(rows[1][5], 4102444800000)
        self.assertEqual(ids, ["own", self.get("/v1/outbox").json[1]["message_id"]])
        for body, words in (
                ({"messages": [{"type": "note"}, {"key1": "x"}]}, r"messages\[1\]: type is needed"),
                ({"messages": []}, "a list of 1 to 1000"), ({"messages": [{"type": "note"}] * 1001}, "1 to 1000"),
                ({"messages": [{"type": "note"}], "more": 1}, "nothing else"), ({"messages": [1]}, "must be an object"),
                ({"type": ""}, "type must have 1 to 255 bytes"), ({"type": "n" * 256}, "1 to 255 bytes"),
                ({"type": ["note"]}, "type must be a text"), ({"typo": "note"}, "unknown: typo"),
                ({"type": "note", "delay": "soon"}, "delay is"), ({"type": "note", "delay": "1s", "at": "1"}, "exclude"),
                ({"type": "note", "headers": [1]}, "headers must be an object"),
                ({"type": "note", "headers": {"a": {"b": 1}}}, r"headers.a must be"),
                ({"type": "note", "properties": {"priority": "high"}}, "priority"),
                ({"type": "note", "key": ""}, "key is empty"), ([], "no JSON object"), ("{", "no JSON"),
                ('{"type":"note","type":"note"}', "no JSON"), (b'{"type":"\xff"}', "no JSON")):
            with self.subTest(body=str(body)[:60]):
                self.assertRegex(self.post("/v1/messages", body, 400).wrong, words)
        self.assertEqual(router.value("select count(*) from herald_outbox"), 2)

    def test_a_key_makes_a_repeat_harmless(self):
        """Also after a kill: it adds nothing, answers the same and says so; another body is refused."""
        router = self.open()
        batch = {"messages": [{"type": "note", "delay": "1h"}, {"type": "note", "delay": "1h"}]}
        first = self.post("/v1/messages", batch, 202, Idempotency_Key="order-16")
        self.assertIsNone(first.headers["Idempotent-Replayed"])
        router.kill()
        self.run_router(router)
        again = self.post("/v1/messages", batch, 202, Idempotency_Key="order-16")
        self.assertEqual((again.json, again.headers["Idempotent-Replayed"]), (first.json, "true"))
        self.assertEqual(router.value("select count(*) from herald_outbox"), 2)
        self.assertEqual(router.column("select message_id from herald_outbox order by id"), first.json["message_ids"])
        self.assertRegex(self.post("/v1/messages", {"type": "note"}, 422, Idempotency_Key="order-16").wrong, "another body")
        self.assertEqual(len(set(first.json["message_ids"]
                                 + self.post("/v1/messages", batch, 202, Idempotency_Key="order-17").json["message_ids"])), 4)
        for key in ("", "k" * 129):
            self.post("/v1/messages", batch, 400, Idempotency_Key=key)
        self.post("/v1/messages", {"type": "note", "bad": 1}, 400, Idempotency_Key="order-18")
        self.post("/v1/messages", {"type": "note", "delay": "1h"}, 202, Idempotency_Key="order-18")  # a refusal keeps nothing
        self.assertEqual(router.value("select count(*) from herald_outbox"), 5)

    def clerks(self, router):
        """Processes that the router has for what is asked."""
        with open(f"/proc/{router.process.pid}/task/{router.process.pid}/children", encoding="ascii") as children:
            return [int(pid) for pid in children.read().split()]

    def test_a_clerk_that_dies(self):
        """Nothing of the router is lost with it, and the next question gets another."""
        router = self.open()
        self.assertEqual(self.clerks(router), [])
        self.get("/v1/status")
        pid, = self.clerks(router)
        self.assertGreaterEqual(os.getpriority(os.PRIO_PROCESS, pid), 10)
        os.kill(pid, signal.SIGKILL)
        self.wait_equal("its end", lambda: self.clerks(router), [])
        self.get("/v1/status")
        pid, = self.clerks(router)
        os.kill(pid, signal.SIGSTOP)
        with self.connect() as asker:
            asker.sendall(b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.wait_for("it to be asked", lambda: router.live()["state"] == "running")
            time.sleep(0.2)
            os.kill(pid, signal.SIGKILL)
            self.assertRegex(asker.recv(65536).decode(), r"HTTP/1.1 500 (?s:.*)the process that worked on it ended")
        self.wait_equal("the log", lambda: len(router.events("admin.lost")), 1)
        self.get("/v1/status")

    def test_a_stop_while_somebody_waits(self):
        """He is told so, and the router ends in good order."""
        router = self.open()
        self.get("/v1/status")
        pid, = self.clerks(router)
        os.kill(pid, signal.SIGSTOP)
        with self.connect() as asker:
            asker.sendall(b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
            time.sleep(0.2)
            router.signal(signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)
            self.assertEqual(router.wait_exit(), 0)
            said = asker.recv(65536).decode()
            self.assertTrue("503" in said or "200 OK" in said or said == "", said)
