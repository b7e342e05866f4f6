"""Hot reload: whatever is done to the files of a router that runs, and whoever asks for it."""

import json
import os
import random
import re
import signal
import sqlite3
import statistics
import time

from harness import RECORD, Case, World, takes_long
from load import Beside

SUBSCRIBE = 'herald.subscribe { queue = "$queue", from = herald.fanout "$exchange" }\n'
HEAD = """local herald = require "herald"
herald.route { type = "note", to = herald.fanout "$exchange" }
"""
HANDLER = """herald.on("note", "*", function(msg, tx)
  tx:exec("insert into effect (key1, key2) values (?, '%s')", msg.business_key1)
end)
"""
QUIET = 1.0  # seconds in which a change would have been noticed


def generation(router):
    return router.ask('{"ask":"status"}')[0]["generation"]


class Reloads(Case):
    def start(self, broker="embedded", head=HEAD + SUBSCRIBE, **settings):
        self.target = self.router({"migrations/001_effect.sql": RECORD}, broker=broker, **settings)
        self.head = head
        self.target.write("rules/a.lua", self.head + HANDLER % "one")
        self.target.start()
        return self.target

    def path(self, name):
        return os.path.join(self.target.folder, name)

    def mark(self, word, head=None):
        self.target.write("rules/a.lua", (head or self.head) + HANDLER % word)

    def change_mark(self, word, *words, head=None):
        return self.target.change("rules/a.lua", (head or self.head) + HANDLER % word, *words)

    def save(self, name, text):
        """As most editors do: another file first, which then takes the name."""
        folder, base = os.path.split(name)
        temporary = os.path.join(folder, f".{base}.swp")
        self.target.write(temporary, text)
        os.rename(self.path(temporary), self.path(name))

    def wait_generation(self, wanted):
        self.wait_equal("the generation", lambda: generation(self.target), wanted)

    def stays(self, wanted):
        time.sleep(QUIET)
        self.assertEqual(generation(self.target), wanted)

    def marks(self):
        return self.target.column("select key2 from effect order by id")

    def check_mark(self, *marks):
        """The next message is handled by the last of these."""
        self.target.emit("note", key1="k")
        self.wait_equal("the handlers' marks", self.marks, list(marks))

    def refused(self, *words):
        """`herald reload` says so and ends with 1; status and log have it, too."""
        said = self.target.run("reload", code=1)
        self.assertEqual(said.out, "")
        self.assert_words(said.err, "nothing was reloaded", *words)
        self.assert_words(self.target.ask('{"ask":"status"}')[0]["rules_error"], *words)
        self.assert_words(self.target.events("rules.refused")[-1], *words)


class Watched(Reloads):
    """Nobody asks: the router notices by itself."""

    def test_files_change_come_get_another_name_and_go(self):
        self.start()
        self.check_mark("one")
        self.mark("two")
        self.wait_generation(2)
        self.check_mark("one", "two")
        self.target.write("rules/b.lua", 'require("herald").on("other", "*", function() end)\n')
        self.wait_generation(3)
        self.assertEqual(self.target.status()["rules"]["handlers"], 2)
        os.rename(self.path("rules/b.lua"), self.path("rules/c.lua"))
        self.wait_generation(4)
        self.assertEqual(self.target.status()["rules"]["handlers"], 2)
        os.remove(self.path("rules/c.lua"))
        self.wait_generation(5)
        self.assertEqual(self.target.status()["rules"]["handlers"], 1)
        self.check_mark("one", "two", "two")

    def test_what_editors_leave_lying_about_is_nothing(self):
        self.start()
        for name in (".a.lua.swp", ".#a.lua", "a.lua~", "#a.lua#", "4913", "a.lua.bak"):
            self.target.write("rules/" + name, "this is = = no Lua\n")
        self.stays(1)
        self.assertEqual(self.target.events("rules.refused"), [])
        self.assertEqual(len(self.target.events("router.reloading")), 1)

    def test_file_that_is_renamed_over(self):
        self.start()
        for i, word in enumerate(("two", "three"), 2):
            self.save("rules/a.lua", self.head + HANDLER % word)
            self.wait_generation(i)
        self.check_mark("three")

    def test_same_content_is_no_change(self):
        self.start()
        self.mark("one")
        os.utime(self.path("rules/a.lua"))
        self.save("rules/a.lua", self.head + HANDLER % "one")
        self.stays(1)
        self.assertEqual(self.target.events("rules.loaded"), [])

    def test_many_changes_at_once_are_one_reload(self):
        self.start()
        for i in range(40):
            self.target.write(f"rules/more{i}.lua", f'require("herald").on("t{i}", "*", function() end)\n')
        self.wait_generation(2)
        self.stays(2)
        self.assertEqual(self.target.status()["rules"]["handlers"], 41)

    def test_change_during_a_reload_leads_to_another(self):
        self.start()
        slow = "local n = 0\nfor i = 1, 60000000 do n = n + i end\n"
        self.target.write("rules/slow.lua", slow)
        self.wait_for("the reload to begin", lambda: self.target.events("router.reloading"))
        self.mark("two")
        self.wait_generation(3)
        self.check_mark("two")

    def test_modules_below_lib(self):
        self.start()
        self.target.write("lib/words/mark.lua", 'return "two"\n')
        self.wait_generation(2)
        self.target.write("rules/a.lua", self.head + """
            local mark = require "lib.words.mark"
            herald.on("note", "*", function(msg, tx) tx:exec("insert into effect (key2) values (?)", mark) end)
            """)
        self.wait_generation(3)
        self.target.write("lib/words/mark.lua", 'return "three"\n')
        self.wait_generation(4)
        self.check_mark("three")

    def test_modules_above_included_folders(self):
        listen = ('local herald = require "herald" local mark = require "lib.mark"\n'
                  'herald.subscribe { queue = "$queue" }\n'
                  'herald.on("note", "*", function() herald.log.info("mark " .. mark) end)\n')
        self.target = self.router({"one/rules/a.lua": listen, "two/rules/b.lua": 'require "lib.mark"\n',
                                   "lib/mark.lua": 'return "one"\n',
                                   "herald.lua": 'return { include = { "one", "two" } }'},
                                  broker="embedded")
        self.target.start()
        self.target.write("lib/mark.lua", 'return "two"\n')
        self.wait_generation(2)
        self.target.write("lib/mark.lua", "return (\n")
        self.wait_for("the refusal", lambda: self.target.events("rules.refused"))
        self.assert_words(self.target.events("rules.refused")[0], r"lib/mark\.lua:")
        self.target.stop()

    def test_rules_folder_that_goes_and_returns(self):
        """As when another version is checked out."""
        self.start()
        os.rename(self.path("rules"), self.path("away"))
        self.wait_for("a refusal", lambda: self.target.events("rules.refused"))
        self.assert_words(self.target.status()["rules"]["error"], "rules")
        self.assertEqual(generation(self.target), 1)
        self.check_mark("one")
        self.mark("two")
        self.wait_generation(2)
        self.check_mark("one", "two")
        self.assertIsNone(self.target.status()["rules"]["error"])
        self.mark("three")
        self.wait_generation(3)

    def test_bad_file_is_refused_until_it_is_mended(self):
        self.start()
        self.target.replace("rules/b.lua", "local x = = 1\n")
        self.wait_for("a refusal", lambda: self.target.events("rules.refused"))
        self.assert_words(self.target.status()["rules"]["error"], r"rules/b\.lua:1: ")
        self.assert_words(self.target.run("status").out, r"refused: rules/b\.lua:1: ")
        self.refused(r"rules/b\.lua:1: ")  # it judges the files as they are now
        self.check_mark("one")
        os.remove(self.path("rules/b.lua"))
        self.wait_equal("the error to go", lambda: self.target.status()["rules"]["error"], None)
        self.assertEqual(generation(self.target), 1)


class Asked(Reloads):
    """SIGHUP and the command line."""

    def test_hangup_signal(self):
        self.start(handler_timeout="1s")
        self.target.signal(signal.SIGHUP)
        self.stays(1)
        self.target.write("herald.lua", 'return { handler_timeout = "2s" }')
        self.target.signal(signal.SIGHUP)
        self.wait_generation(2)
        self.check_mark("one")

    def test_answers(self):
        self.start()
        self.assertRegex(self.target.run("reload").out, r"^unchanged: generation 1 \([0-9a-f]{12}\)\n$")
        head = (self.head + 'herald.subscribe { queue = "$queue-2", '
                'from = herald.fanout "$exchange-2" }\n')
        dry = self.change_mark("two", "--dry-run", head=head).out
        self.wait_for("the router to take it", lambda: generation(self.target) > 1)
        self.change_mark("one")
        said = self.change_mark("two", head=head).out
        for was, becomes in (("would reload", "reloaded"), (r"generation \d+", "generation N")):
            dry, said = (re.sub(was, becomes, text) for text in (dry, said))
        self.assertEqual(dry, said)
        self.assert_words(said, r"^reloaded: generation N \([0-9a-f]{12}\)\n",
                          r"\n  changed  file          rules/a\.lua\n",
                          r"\n  changed  handler       note \*  \(rules/a\.lua:5\)\n",
                          r"\n  added    subscription  \S+-queue-2  \(rules/a\.lua:4\)\n")
        reloads = self.target.counter("reloads")
        said = json.loads(self.change_mark("three", "--json").out)
        self.assertEqual((said["outcome"], said["trial"]), ("reloaded", None))
        self.assertEqual({(c["change"], c["what"]) for c in said["changes"]} - {
            ("removed", "subscription")}, {("changed", "file"), ("changed", "handler")})
        self.assertEqual(said["hash"], self.target.status()["rules"]["hash"])
        self.check_mark("three")
        self.assertEqual(self.target.counter("reloads"), reloads + 1)

    def test_without_a_router(self):
        self.start()
        self.target.stop()
        for words in ((), ("--dry-run",), ("--json",)):
            said = self.target.run("reload", *words, code=1)
            self.assert_words(said.err, "no router", "herald.sock")

    def test_refusals_name_file_and_line(self):
        self.start()
        for text, *words in (
                ("local x = = 1\n", r"rules/b\.lua:1: unexpected symbol"),
                ("local x = 1\nerror 'no'\n", r"rules/b\.lua:2: no"),
                ("local x = nil\nx.y = 1\n", r"rules/b\.lua:2: .*nil value"),
                ('require("herald").on("note", "*", function() end)\n', r"rules/b\.lua:1", r"rules/a\.lua:4"),
                ('require("herald").route { typ = "x" }\n', r"rules/b\.lua:1", "did you mean 'type'"),
                ('require("herald").on("x", "*", function(m, tx)\n  tx:row "select nix from effect"\nend)\n',
                 r"rules/b\.lua:2:10: no such column: nix"),
                ('require("herald").on("x", "*", function(m, tx)\n  tx:exec "delete from fresh"\nend)\n',
                 r"rules/b\.lua:2:11: no such table: fresh"),
                ('require("herald").on("x", "*", function(m, tx) tx:exec "drop table effect" end)\n',
                 r"rules/b\.lua:1:56: ")):
            with self.subTest(text):
                self.target.replace("rules/b.lua", text)
                self.refused(*words)
        self.target.write("migrations/002_fresh.sql", "create table fresh (id);\n")
        self.target.replace("rules/b.lua", 'require("herald").on("x", "*", function(m, tx)\n'
                          '  tx:exec "delete from fresh"\nend)\n')
        self.refused("no such table: fresh", r"new file in migrations/.*when the router starts")
        self.assertEqual(generation(self.target), 1)
        self.check_mark("one")
        said = json.loads(self.target.run("reload", "--json", code=1).out)
        self.assertEqual(said["outcome"], "refused")
        self.assert_words(said["error"], r"rules/b\.lua:2:11: ")
        self.target.stop()
        self.target.start()
        self.assertEqual(self.target.status()["rules"]["handlers"], 2)

    def test_settings(self):
        self.start(log_level="info")
        said = self.target.change("herald.lua", """return {
            log_level = "debug", handler_timeout = "1s", retry = { attempts = 2, delay = "10ms" },
            store = "herald.db", publish_window = 5, recent_messages = 7 }""")
        self.assert_words(said.out, "reloaded: generation 2", r"changed +setting +handler_timeout",
                          r"changed +setting +log_level", r"changed +setting +retry",
                          "changed, but needs a restart: publish_window, recent_messages\n")
        self.mark("two", self.head + 'herald.on("other", "*", function() error "no" end)\n'
                  'herald.route { type = "other", to = herald.fanout "$exchange" }\n')
        self.target.run("reload")
        self.target.emit("other")
        self.assertEqual(self.wait_dead(self.target, 1)[0]["attempts"], 2)
        self.target.write("herald.lua", "return { log_level = ")
        self.refused(r"herald\.lua:1: ")
        self.target.write("herald.lua", "return { retry = { atempts = 3 } }")
        self.refused("did you mean 'attempts'")
        self.target.write("herald.lua", 'return { heartbeat = "1m", handler_timeout = "20s" }')
        self.refused("handler_timeout.*heartbeat in force")
        self.assertEqual(generation(self.target), 3)
        self.check_mark("two")

    def test_trial(self):
        self.start()
        for key in ("a", "b"):
            self.target.emit("note", key1=key)
        self.wait_equal("both", self.marks, ["one", "one"])
        said = json.loads(self.change_mark("two", "--dry-run", "--trial", "50", "--json").out)
        self.assertEqual((said["trial"]["run"], said["trial"]["differing"]), (2, 2))
        self.assertEqual(self.marks(), ["one", "one"])
        said = self.change_mark("three", "--trial", "1").out
        self.assert_words(said, "trial: 1 of", "reloaded: generation")


class Subscriptions(Reloads):
    """On the real broker."""

    def test_new_one_starts_and_removed_one_stops(self):
        self.use_names("queue2")
        second = 'herald.subscribe { queue = "$queue2", from = herald.fanout "$exchange" }\n'
        self.start(broker="rabbit")
        peer = self.peer()
        self.check_mark("one")
        self.mark("two", HEAD + SUBSCRIBE + second)
        self.target.run("reload")
        self.wait_for("it to be ready", lambda: self.target.live().get("ready"))
        self.check_mark("one", "two", "two")
        self.mark("three", HEAD + second)
        self.target.run("reload")
        self.check_mark("one", "two", "two", "three")
        self.wait_equal("the message on the queue that nobody consumes",
                        lambda: World.node.depth(self.names["queue"]), 1)
        peer.send(self.names["exchange"], b'{"messageType":"note"}', message_id="m1")
        self.wait_equal("the handlers' marks", self.marks, ["one", "two", "two", "three", "three"])
        self.mark("four", HEAD + SUBSCRIBE)
        self.target.run("reload")
        self.wait_equal("the handlers' marks", self.marks,
                        ["one", "two", "two", "three", "three", "four", "four"])
        self.wait_settled(self.target)
        self.assertEqual(self.target.dead(), [])

    def test_while_the_broker_is_away(self):
        relay, url = self.relay()
        relay.open()
        self.start(broker=url)
        self.check_mark("one")
        relay.close()
        self.wait_for("the loss", lambda: self.target.live().get("ready") is False)
        self.use_names("queue2")
        self.mark("two", HEAD + SUBSCRIBE + 'herald.subscribe { queue = "$queue2", '
                  'from = herald.fanout "$exchange" }\n')
        self.assert_words(self.target.run("reload").out, "generation 2")
        self.assertEqual(self.target.status()["rules"]["subscriptions"], 2)
        relay.open()
        self.wait_for("it to be ready", lambda: self.target.live().get("ready"))
        self.check_mark("one", "two", "two")


class Load(Beside):
    """Notes with keys 0, 1, ... into the outbox at `rate` a second, until it is told to end."""

    def __init__(self, path, rate):
        super().__init__()
        self.path = path
        self.rate = rate
        self.sent = 0

    def work(self):
        try:
            store = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            store.execute("pragma wal_autocheckpoint = 0")
            began = time.monotonic()
            while not self.ending.is_set():
                due = int((time.monotonic() - began) * self.rate)
                if due > self.sent:
                    store.execute("begin immediate")
                    store.executemany(
                        "insert into herald_outbox (type, business_key1) values ('note', ?)",
                        ((str(n),) for n in range(self.sent, due)))
                    store.execute("commit")
                    self.sent = due
                time.sleep(0.02)
            store.close()
        except sqlite3.Error as problem:  # told in the test's own thread
            self.problem = problem


TABLES = """
create table first (message integer, mark integer);
create table second (message integer, mark integer);
"""
# Every 97th message fails once, between its two statements.
TWO_STEPS = """herald.on("note", "*", function(msg, tx)
  tx:exec("insert into first values (?, %(mark)d)", msg.business_key1)
  if msg.attempt == 1 and tonumber(msg.business_key1) %% 97 == 0 then error "once" end
  tx:exec("insert into second values (?, %(mark)d)", msg.business_key1)
end)
"""
BAD = (
    "local x = = 1\n",
    "error 'not today'\n",
    'herald.on("note", "*", function() end)\n',
    'herald.on("x", "*", function(m, tx) tx:row "select nix from first" end)\n',
    'herald.subscribe { queu = "q" }\n',
)


class UnderLoad(Reloads):
    def rules(self, mark):
        """Every seventh generation does without the subscription, every fifth has one more."""
        more = 'herald.subscribe { queue = "$queue2", from = herald.fanout "$exchange2" }\n'
        return (HEAD + (SUBSCRIBE if mark % 7 else "") + (more if mark % 5 == 0 else "")
                + TWO_STEPS % {"mark": mark})

    def reload_good(self, mark):
        before = generation(self.target)
        self.save("rules/a.lua", self.rules(mark))
        trigger = random.choice(("ask", "ask", "signal", "watch"))
        if trigger == "ask":
            said = self.target.ask('{"ask":"reload"}')
            # the watcher may have been first, with what was written just now
            self.assertIn(said[0]["outcome"], ("reloaded", "unchanged"), said)
            self.assertEqual(said[0]["generation"], before + 1)
        elif trigger == "signal":
            self.target.signal(signal.SIGHUP)
        self.wait_generation(before + 1)

    def reload_bad(self, mark):
        before = generation(self.target)
        self.save("rules/a.lua", self.rules(mark) + random.choice(BAD))
        said = self.target.ask('{"ask":"reload"}')
        self.assert_words(said[0]["error"], r"rules/a\.lua:\d+")
        self.assertEqual(generation(self.target), before)

    def resident(self):
        with open(f"/proc/{self.target.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def last_mark(self):
        return max(self.target.column("select mark from first order by rowid desc limit 1"),
                   default=None)

    def check_each_once(self, count):
        value = self.target.value
        self.wait_equal("every message to be handled",
                        lambda: value("select count(*) from second"), count)
        self.wait_settled(self.target)
        for table in ("first", "second"):
            self.assertEqual(value(f"select count(distinct message) from {table}"), count)
            self.assertEqual(value(f"select count(*) from {table}"), count)
        halves = value("select count(*) from first join second on first.rowid = second.rowid "
                       "where first.message <> second.message or first.mark <> second.mark")
        self.assertEqual(halves, 0, "messages handled half by each")
        late = value("select count(*) from (select mark, lag(mark) over (order by rowid) as before "
                     "from first) where mark < before")
        self.assertEqual(late, 0, "messages handled by rules that had been replaced")
        for table in ("herald_retry", "herald_dead"):
            self.assertEqual(value(f"select count(*) from {table}"), 0)

    @takes_long
    def test_reloads_lose_and_double_nothing(self):
        reloads, rate, pause = (1000, 5000, 0.1) if World.long else (50, 400, 0.15)
        self.use_names("exchange2", "queue2")
        self.target = self.router({"migrations/001.sql": TABLES, "rules/a.lua": self.rules(1),
                                   "herald.lua": 'return { retry = { delay = "20ms" } }'})
        self.target.start()
        mark, sizes, began = 1, [], time.monotonic()
        with Load(self.target.store, rate) as load:
            for i in range(reloads):
                if i % 10 == 5:
                    self.reload_bad(mark + 1)
                else:
                    mark += 1
                    self.reload_good(mark)
                self.assertIsNone(load.problem)
                sizes.append(self.resident())
                time.sleep(pause)
                if mark % 7:
                    self.wait_equal(f"some to be handled by {mark}", self.last_mark, mark)
            if mark % 7 == 0:
                mark += 1
                self.reload_good(mark)
        took = time.monotonic() - began
        self.check_each_once(load.sent)
        rest = time.monotonic() - began - took
        seen = self.target.value("select count(distinct mark) from first")
        early = statistics.median(sizes[len(sizes) // 10:len(sizes) // 5])
        late = statistics.median(sizes[-len(sizes) // 10:])
        print(f"        {reloads} reloads in {took:.0f} s, {load.sent} messages ({load.sent / took:.0f}/s), "
              f"the last of them {rest:.1f} s later, {seen} generations handled some, memory {early / 1024:.1f} -> {late / 1024:.1f} MiB "
              f"(most {max(sizes) / 1024:.1f})", flush=True)
        self.assertGreater(seen, reloads * 0.4)
        if World.long:
            self.assertLess(late - early, 8 * 1024, "KiB of memory that 800 reloads added")
