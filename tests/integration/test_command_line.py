"""The command line: what it prints, where it looks, and how it ends."""

import json
import os
import time

from harness import Case


class CommandLine(Case):
    def setUp(self):
        super().setUp()
        self.target = self.router(broker=None)

    def outbox(self):
        return self.target.rows("select type, business_key1, business_key2, business_key3, "
                            "cast(body as text), message_id from herald_outbox order by id")

    # --- emit ---

    def test_emit_prints_ids(self):
        self.assertEqual(self.target.run("emit", "--type", "note").out, "1\n")
        said = self.target.run("emit", "--type", "note", "--key1", "16", "--key2", "60201",
                               "--key3", "第三", "--count", "3",
                               "--body", '{"n": 9007199254740993}')
        self.assertEqual(said.out, "2\n3\n4\n")
        self.assertEqual(self.outbox(), [
            ("note", None, None, None, None, None),
            *[("note", "16", "60201", "第三", '{"n": 9007199254740993}', None)] * 3])

    def test_emit_json(self):
        said = self.target.json("emit", "--type", "note", "--count", "2")
        self.assertEqual(said, {"ids": [1, 2]})
        self.target.run("emit", "--type", "note", "--id", "my-id")
        self.assertEqual(self.outbox()[-1][-1], "my-id")

    def test_emit_body_of_file_and_of_input(self):
        path = os.path.join(self.folder, "body.json")
        with open(path, "wb") as file:
            file.write('{"名": "值"}\n'.encode())
        self.target.run("emit", "--type", "note", "--body", "@" + path)
        self.target.run("emit", "--type", "note", "--body", "@body.json")  # relative to the caller
        self.target.run("emit", "--type", "note", "--body", "-", stdin=b"[1, 2]")
        self.assertEqual([row[4] for row in self.outbox()],
                         ['{"名": "值"}\n', '{"名": "值"}\n', "[1, 2]"])

    def test_emit_refuses(self):
        for words, wanted, code in (
                ((), "--type", 2),
                (("--type", ""), "--type", 2),
                (("--type", "t" * 256), "255", 2),
                (("--type", "note", "--id", ""), "--id", 2),
                (("--type", "note", "--id", "x" * 256), "--id.*255", 2),
                (("--type", "note", "--body", "{bad"), "--body.*JSON", "any"),
                (("--type", "note", "--body", '{"a":1,"a":2}'), "--body", "any"),
                (("--type", "note", "--body", "@nothing-here"), "nothing-here", 1),
                (("--type", "note", "--body", "-"), "--body", "any"),  # nothing on stdin
                (("--type", "note", "--count", "0"), "--count", 2),
                (("--type", "note", "--count", "many"), "--count.*many", 2),
                (("--type", "note", "--id", "x", "--count", "2"), "--id", 2),
                (("--type", "note", "--colour", "red"), "--colour", 2)):
            said = self.target.run("emit", *words, code=code)
            self.assert_words(said.err, wanted)
            self.assertEqual(said.out, "")
        self.assertFalse(os.path.exists(self.target.store))  # nor did any of them make a store

    def test_emit_has_its_time_and_its_key(self):
        before = time.time() * 1000
        self.target.run("emit", "--type", "note", "--delay", "15m", "--key", "close-16")
        due, = self.target.column("select due_at from herald_outbox")
        self.assertTrue(before + 900000 <= due <= time.time() * 1000 + 900000)
        self.target.run("emit", "--type", "note", "--at", "2099-12-01T08:00:00Z", "--key", "close-16")
        self.target.run("emit", "--type", "note", "--key", "k" * 255)
        self.assertEqual(self.target.rows("select key, due_at from herald_outbox order by id"),
                         [("close-16", 4099795200000), ("k" * 255, 0)])
        listed = self.target.json("outbox", "list")[0]
        self.assertEqual((listed["key"], listed["state"], listed["due_at"]),
                         ("close-16", "scheduled", "2099-12-01T08:00:00.000Z"))

    def test_emit_refuses_bad_times_and_keys(self):
        for words, wanted in (
                (("--delay=-15m",), "--delay is \"-15m\""),
                (("--delay", "36526d"), "100 years at most"),
                (("--delay", "9" * 10240 + "s"), "100 years at most"),
                (("--delay", "15 minutes"), "15 minutes"),
                (("--delay", ""), "--delay"),
                (("--at", "2026-02-29T08:00:00Z"), "2026-02-29"),
                (("--at", "2026-12-01T08:00:00"), "such as 2026-01-31T12:00:00Z"),
                (("--at", "253402300800000"), "year 10000"),
                (("--at=-1",), "above 0"),
                (("--delay", "1s", "--at", "5"), "--delay and --at exclude each other"),
                (("--key", ""), "--key is empty"),
                (("--key", "k" * 256), "longer than 255 bytes"),
                (("--key", "k" * 10240), "longer than 255 bytes"),
                (("--key", "k", "--count", "2"), "--key with --count 2")):
            said = self.target.run("emit", "--type", "note", *words, code=2)
            self.assert_words(said.err, wanted)
            self.assertEqual(said.out, "")
        self.assertFalse(os.path.exists(self.target.store))

    def test_outbox_cancel_says_whether_it_was_sent(self):
        self.assert_words(self.target.run("outbox", "cancel", "k", code=1).err, "no store")
        self.target.run("emit", "--type", "note", "--delay", "1h", "--key", "later")
        self.target.run("emit", "--type", "note", "--key", "now")
        self.assertEqual(self.target.run("outbox", "cancel", "later").out,
                         "cancelled later: it was not sent\n")
        self.assert_words(self.target.run("outbox", "cancel", "later", code=1).err, "no row has the key")
        said = self.target.run("outbox", "cancel", "now", "--json", code=1)
        self.assertEqual(json.loads(said.out), {"key": "now", "outcome": "sent"})
        self.assert_words(said.err, "may have been sent")
        self.assertEqual(self.outbox(), [])
        self.assert_words(self.target.run("outbox", "cancel", "", code=2).err, "KEY is empty")

    def test_emit_beside_a_running_router(self):
        self.target.start()
        self.assertEqual(self.target.emit("note", "x", count=3), [1, 2, 3])
        self.wait_equal("the effects", self.target.effects, ["x"] * 3)

    # --- status ---

    def check_status(self, status, running):
        self.assertTrue({"pending", "oldest_ms", "late_ms"} <= set(status["outbox"]))
        self.assertTrue({"generation", "hash", "error"} <= set(status["rules"]))
        self.assertIsNone(status["rules"]["error"])
        self.assertIsInstance(status["retries"], int)
        self.assertIsInstance(status["dead"], int)
        self.assertEqual(status["running"], running)

    def test_status_without_router(self):
        said = self.target.run("status", code="any")  # there is no store yet
        self.assert_words(said.err, "no store", "emit|run")
        self.target.emit("note", count=2)
        status = self.target.status()
        self.check_status(status, False)
        self.assertEqual(status["outbox"]["pending"], 2)
        self.assertEqual(status["broker"]["state"], "stopped")
        self.assertIsNone(status["rules"]["generation"])
        self.wait_for("them to age", lambda: self.target.status()["outbox"]["oldest_ms"] > 100)
        self.assert_words(self.target.run("status").out, "not running", "2 pending", "stopped")

    def test_status_of_a_router(self):
        self.target.start()
        status = self.target.status()
        self.check_status(status, True)
        self.assertEqual([status["outbox"][name] for name in ("pending", "oldest_ms", "late_ms")],
                         [0, 0, 0])
        self.assertEqual(status["rules"]["generation"], 1)
        self.assertEqual(status["broker"]["state"], "embedded")
        self.assertRegex(status["rules"]["hash"], r"^[0-9a-f]{12}$")
        self.assertEqual([status["rules"][key] for key in ("routes", "subscriptions", "handlers")],
                         [1, 1, 1])
        self.assertTrue(status["broker"]["ready"])
        for name in ("delivered", "handled", "unhandled", "duplicates", "failed", "dead",
                     "published", "confirmed", "returned", "parked"):
            self.assertEqual(status["counters"][name], 0, name)
        self.assert_words(self.target.run("status").out, "running", "embedded", "generation 1",
                          status["rules"]["hash"])

    def test_status_of_a_router_that_was_killed(self):
        self.target.start().kill()
        status = self.target.status()
        self.assertFalse(status["running"])
        self.target.start()  # its socket and lock file are no obstacle
        self.assertTrue(self.target.status()["running"])

    def test_status_of_a_router_that_hangs(self):
        self.target.start()
        self.target.signal(19)
        try:
            status = self.target.status()
        finally:
            self.target.signal(18)
        self.assertTrue(status["running"])
        self.assert_words(status["state"], "not answer")

    # --- dead ---

    def test_empty_listing(self):
        self.target.run("run", "--until-idle")
        self.assertEqual(self.target.run("dead", "list", "--json").out, "[]\n")
        self.assertEqual(self.target.run("dead", "list").out, "no dead letters\n")

    def test_dead_list_and_show(self):
        self.target.start()
        for key in ("16", "长名字"):
            self.target.emit("unrouted", key, "60201")
        letters = self.wait_dead(self.target, 2)
        for letter in letters:
            self.assertTrue({"id", "message_id", "type", "order_type", "queue", "attempts", "error",
                             "at"} <= set(letter))
        self.assertEqual(self.target.json("dead", "list", "--limit", "1"), letters[:1])
        self.assertEqual(self.target.json("dead", "list", "--after", "1"), letters[1:])
        lines = self.target.run("dead", "list").out.split("\n")
        self.assert_words(lines[0], "ID.*AT.*QUEUE.*TYPE.*KEY1.*ORDER.*TRIES.*ERROR")
        self.assert_words(lines[1], "unrouted.*60201.*no route")
        self.assertEqual(self.target.json("dead", "show", "2"), letters[1])
        self.assert_words(self.target.run("dead", "show", "2").out, "长名字", "no route", "unrouted")

    def test_dead_refuses(self):
        self.target.emit("note")
        for words, wanted, code in ((("show", "99"), "no dead letter 99", 1),
                                    (("show", "x"), "ID.*x", 2), (("show",), "id", 2),
                                    ((), "command", 2), (("bury",), "bury", 2),
                                    (("list", "--limit", "0"), "--limit", 2)):
            self.assert_words(self.target.run("dead", *words, code=code).err, wanted)

    # --- the rest ---

    def test_version(self):
        numbers = json.loads(self.target.run("version", "--json", folder=False).out)
        self.assertRegex(numbers["herald"], r"^\d+\.\d+\.\d+$")
        self.assertTrue({"lua"} < set(numbers))
        said = self.target.run("version", folder=False)
        self.assert_words(said.out, f"herald +{numbers['herald']}")

    def test_usage(self):
        for words in ((), ("fly",), ("run", "--fast")):
            said = self.target.run(*words, code=2, folder=False)
            self.assert_words(said.err, "usage", "--help")
            self.assertEqual(said.out, "")
        said = self.target.run("--help", folder=False)
        self.assert_words(said.out, "run", "emit", "status", "dead")
        said = self.target.run("emit", "--help", folder=False)
        self.assert_words(said.out, "--body", "--count")

    def test_options_before_and_after_the_command(self):
        self.target.write("herald.lua",
                          'return { store = "other.db", broker = "amqp://127.0.0.1:1/" }')
        where = self.target.folder
        for words in (("-C", where, "--store", "a.db", "emit", "--type", "note"),
                      ("emit", "--type", "note", "-C", where, "--store", "a.db"),
                      ("--store", "a.db", "emit", "-C", where, "--type", "note")):
            self.target.run(*words, folder=False)
        status = json.loads(self.target.run("status", "--json", "-C", where, "--store", "a.db",
                                        folder=False).out)
        self.assertEqual(status["outbox"]["pending"], 3)
        self.assertFalse(os.path.exists(os.path.join(where, "other.db")))
        for words in (("-C", where, "--store", "a.db", "run", "--broker", "embedded"),
                      ("--broker", "embedded", "run", "-C", where, "--store", "a.db")):
            self.target.run(*words, "--until-idle", folder=False)
        status = json.loads(self.target.run("--store", "a.db", "status", "--json").out)
        self.assertEqual(status["outbox"]["pending"], 0)

    def test_broker_of_the_environment(self):
        """Option above environment above file."""
        self.target.write("herald.lua", 'return { broker = "amqp://127.0.0.1:1/" }')
        self.target.broker = "embedded"
        self.target.run("run", "--until-idle")
        said = self.target.run("run", "--broker", "nonsense", code=2)
        self.assert_words(said.err, "nonsense|amqp://")

    def test_ready_line_names_everything(self):
        self.target.start("--log-level", "debug")
        lines = self.target.said(0).splitlines()
        self.assertEqual(len(lines), 1)
        self.assert_words(lines[0], r"ready:", self.target.folder, r"herald\.db", "embedded",
                          r"generation 1 \([0-9a-f]{12}\)", "1 routes, 1 subscriptions, 1 handlers")

    def test_json_log(self):
        router = self.router(name="json", broker=None, log_format="json").start()
        router.stop()
        for line in router.said(1).splitlines():
            self.assertIn("event", " ".join(json.loads(line)))
