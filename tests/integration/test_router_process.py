"""The process itself: its log that nobody reads, its streams, its socket (docs/faults.md#f57)."""

import os
import socket
import subprocess
from datetime import datetime

from harness import RECORDER, Case, World, die_with_parent

FAILS = """
local herald = require "herald"
herald.route { type = "note", to = herald.queue "notes" }
herald.subscribe { queue = "notes", retry = { attempts = 2, delay = "10ms" }, pause_after = false }
herald.on("note", "*", function(msg) error("no choice " .. msg.business_key1) end)
"""
FLOOD = 3000
A_SECOND = 5  # lines of one kind


class Streams(Case):
    def launch(self, router, stderr, **options):
        """Starts it with a stderr of the test's own."""
        with open(router.logs[0], "ab") as out:
            router.process = subprocess.Popen(
                [World.herald, "-C", router.folder, "run"], stdin=subprocess.DEVNULL, stdout=out,
                stderr=stderr, env=router.environment(), preexec_fn=die_with_parent, **options)
        World.processes.append(router.process)
        self.wait_for("the router to listen", router.listens)

    def test_a_stderr_that_nobody_reads_freezes_nothing(self):
        router = self.router({**RECORDER, "rules/b.lua": """
local herald = require "herald"
herald.on("note", "loud", function(msg, tx)
  herald.log.info(("x"):rep(500))
  tx:exec("insert into effect (key1) values (?)", msg.business_key1)
end)
"""}, broker="embedded")
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.launch(router, writer)
        os.close(writer)
        for _ in range(10):
            router.run("emit", "--type", "note", "--key1", "k", "--key2", "loud", "--count", "400")
        self.wait_equal("all to be handled", lambda: router.value("select count(*) from effect"),
                        4000)
        status = router.status()
        self.assertEqual(status["state"], "running")
        self.assertGreater(status["counters"]["log_lines_dropped"], 0)
        self.assertEqual(router.json("reload")["outcome"], "unchanged")
        router.stop()

    def test_a_full_disk_under_the_log_freezes_nothing(self):
        router = self.router({"rules/a.lua": FAILS}, broker="embedded")
        with open("/dev/full", "wb") as full:
            self.launch(router, full)
        router.emit("note", "1", count=5)
        self.wait_dead(router, 5)
        self.assertGreater(router.counter("log_lines_dropped"), 0)
        router.stop()

    def test_closed_streams_are_not_given_to_others(self):
        router = self.router({"rules/a.lua": FAILS}, broker="embedded")

        def close_all():
            die_with_parent()
            for stream in range(3):
                os.close(stream)

        router.process = subprocess.Popen([World.herald, "-C", router.folder, "run"],
                                          env=router.environment(), preexec_fn=close_all)
        World.processes.append(router.process)
        self.wait_for("the router to listen", router.listens)
        for stream in range(3):
            self.assertEqual(os.readlink(f"/proc/{router.process.pid}/fd/{stream}"), "/dev/null")
        router.emit("note", "1", count=5)
        self.wait_dead(router, 5)
        self.assertEqual(router.value("pragma integrity_check"), "ok")
        router.stop()

    def test_a_flood_of_failures_is_a_few_lines_and_a_count(self):
        router = self.router({"rules/a.lua": FAILS}, broker="embedded").start()
        for _ in range(FLOOD // 300):
            router.run("emit", "--type", "note", "--key1", "1", "--count", "300")
        self.wait_dead(router, FLOOD)
        router.stop()
        told = sum(int(line.rpartition("lines=")[2]) for line in router.events("log.left_out"))
        written = [router.events("message.retry"), router.events("message.dead")]
        self.assertEqual(sum(map(len, written)) + told, 2 * FLOOD)
        for lines in written:
            self.assertLessEqual(len(lines), A_SECOND * (seconds_of(lines) + 2))
        self.assertIn(" warn  message.retry", router.events("message.retry")[0])


def seconds_of(lines):
    """From the first to the last of them, by the time that begins each."""
    first, last = (datetime.fromisoformat(line[:23]) for line in (lines[0], lines[-1]))
    return (last - first).total_seconds()


class Socket(Case):
    def test_who_asks_nothing_keeps_nobody_from_asking(self):
        router = self.router(broker="embedded").start()
        idle = []
        for _ in range(16):
            client = socket.socket(socket.AF_UNIX)
            self.addCleanup(client.close)
            client.connect(router.socket)
            idle.append(client)
        self.assertEqual(router.status()["state"], "running")
        self.assertEqual(router.json("reload")["outcome"], "unchanged")
        for client in idle:  # in the end they are hung up on
            client.settimeout(60)
            self.assertEqual(client.recv(1), b"")

    def test_a_line_of_json_is_answered_by_lines_of_json(self):
        rules = """
local herald = require "herald"
herald.route { type = "note", order_type = "a", to = herald.queue "notes" }
herald.subscribe { queue = "notes" }
herald.on("note", "*", function() end)
"""
        router = self.router({"rules/a.lua": rules}, broker="embedded").start()
        status, = router.ask('{"ask":"status"}')
        self.assertEqual((status["state"], status["generation"], status["paused"]),
                         ("running", 1, []))
        self.assertIn(["reloads", 0], status["counters"])
        self.assertEqual(router.ask(' {"order_type":"a", "ask":"routed", "type":"n\\u006fte"}'),
                         [{"routed": True}])
        self.assertEqual(router.ask('{"ask":"routed","type":"note","order_type":"b"}'),
                         [{"routed": False}])
        self.assertEqual(router.ask('{"ask":"reload","dry_run":true}'),
                         [{"outcome": "unchanged", "generation": 1, "hash": status["hash"]}])
        router.write("rules/a.lua", rules + 'herald.on("other", "\\"x\\"", function() end)\n')
        said = router.ask('{"ask":"reload","trial":10}')
        self.assertEqual([(one["outcome"], one["generation"]) for one in said[:1]],
                         [("reloaded", 2)])
        self.assertIn({"changed": {"change": "added", "what": "handler", "name": 'other "x"',
                                   "where": "rules/a.lua:6"}}, said)
        self.assertIn({"trial": {"run": 0, "differing": 0, "left_out": 0}}, said)
        self.assertEqual(router.ask('{"ask":"nowhere"}'), [{"asked": True}])

    def test_what_is_no_request_is_told_so(self):
        router = self.router(broker="embedded").start()
        for line, words in (("status", "a line of JSON such as .*bad JSON at byte"),
                            ("reload 0 0", "a line of JSON such as"),
                            ("[1]", 'a member "ask"'),
                            ('{"ask":7}', 'a member "ask"'),
                            ('{"ask":"stop"}', "status, reload, routed, nowhere, halts or settings"),
                            ('{"ask":"routed","type":"t"}', "two strings"),
                            ('{"ask":"reload","dry_run":1}', "true or false"),
                            ('{"ask":"reload","trial":-1}', "number of messages"),
                            ('{"ask":"reload","trial":"9"}', "number of messages")):
            said, = router.ask(line)
            self.assert_words(said["error"], words)
        self.assertEqual(router.status()["counters"]["reloads"], 0)

    def test_a_folder_that_is_read_only(self):
        """The store and what lies beside it are elsewhere; commands find the router there."""
        elsewhere = os.path.join(self.folder, "elsewhere")
        os.mkdir(elsewhere)
        router = self.router(broker="embedded", store=os.path.join(elsewhere, "shop.db"))
        os.chmod(router.folder, 0o555)
        self.addCleanup(os.chmod, router.folder, 0o755)
        router.start()
        self.assertEqual(sorted(name for name in os.listdir(router.folder)),
                         ["herald.lua", "migrations", "rules"])
        self.assertIn("shop.sock", os.listdir(elsewhere))
        self.assertEqual(router.status()["state"], "running")
        router.write("herald.lua", "return {")  # also while the settings are broken
        router.stop()
        self.assertNotIn("shop.sock", os.listdir(elsewhere))

    def test_a_socket_that_cannot_be_made_leaves_the_store_alone(self):
        nowhere = os.path.join(self.folder, "nowhere", "herald.sock")
        router = self.router(broker="embedded", socket=nowhere)
        answer = router.run("run", code=1)
        self.assert_words(answer.err, nowhere, "setting `socket`")
        self.assertFalse(os.path.exists(router.store), "the store was made")
        router.write("herald.lua", f'return {{ socket = "{"x" * 120}" }}')
        self.assert_words(router.run("run", code=2).err, "too long", "setting `socket`")
        self.assertFalse(os.path.exists(router.store), "the store was made")

    def test_rules_that_do_not_load_migrate_nothing(self):
        router = self.router(broker="embedded")
        router.write("rules/b.lua", "herald.on(")
        router.run("run", code="any")
        self.assertEqual(
            router.value("select count(*) from sqlite_schema where name = 'effect'"), 0)

    def test_what_lies_beside_the_store_is_its_owners_alone(self):
        router = self.router(broker="embedded").start()
        made = [name for name in os.listdir(router.folder) if name.startswith("herald.")
                and name != "herald.lua"]
        self.assertGreaterEqual(len(made), 6, made)
        for name in made:
            mode = os.stat(os.path.join(router.folder, name)).st_mode & 0o777
            self.assertEqual(mode & 0o077, 0, f"{name}: {mode:o}")
