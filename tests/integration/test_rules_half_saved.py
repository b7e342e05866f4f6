"""Rules that are half saved: whatever files lack for a moment, no message goes unhandled by it and
no row is parked."""

import os
import time

from harness import RECORD, Case
from test_rules_reload import HANDLER, HEAD, SUBSCRIBE

ALL = HEAD + SUBSCRIBE + HANDLER % "one"
EMPTY = 'local herald = require "herald"\n'


class HalfSaved(Case):
    def begin(self, **files):
        self.target = self.router({"migrations/001_effect.sql": RECORD}, broker="embedded")
        for name, text in files.items():
            self.target.write(f"rules/{name}.lua", text)
        self.target.start()
        self.sent = 0

    def path(self, name):
        return os.path.join(self.target.folder, name)

    def send_for(self, seconds):
        """A service that works on meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.target.emit("note", key1=str(self.sent))
            self.sent += 1
            time.sleep(0.1)

    def waiting(self):
        return self.target.status()["rules"]["waiting"]

    def check_nothing_is_lost(self):
        self.target.emit("note", key1=str(self.sent))
        self.sent += 1
        self.wait_equal("all to be handled", lambda: sorted(self.target.column("select key1 from effect")),
                        sorted(map(str, range(self.sent))))
        self.assertEqual(self.target.dead(), [])
        for name in "unhandled", "parked":
            self.assertEqual(self.target.counter(name), 0, name)
        self.assertIsNone(self.waiting())

    def test_file_with_the_only_handler_is_away(self):
        self.begin(way=HEAD + SUBSCRIBE, handler=EMPTY + HANDLER % "one")
        for seconds in 0.2, 0.7, 2, 8:
            os.rename(self.path("rules/handler.lua"), self.path("handler.away"))
            self.send_for(seconds)
            os.rename(self.path("handler.away"), self.path("rules/handler.lua"))
            self.send_for(0.3)
        self.check_nothing_is_lost()
        self.assertTrue(self.target.events("rules.waiting"))

    def test_only_file_is_away(self):
        self.begin(all=ALL)
        for seconds in 0.2, 0.7, 2, 8:
            os.rename(self.path("rules/all.lua"), self.path("all.away"))
            self.send_for(seconds)
            os.rename(self.path("all.away"), self.path("rules/all.lua"))
            self.send_for(0.3)
        self.check_nothing_is_lost()

    def test_handler_moves_to_another_file_by_two_saves(self):
        self.begin(way=HEAD + SUBSCRIBE, handler=EMPTY + HANDLER % "one", other=EMPTY)
        self.target.write("rules/handler.lua", EMPTY)
        self.send_for(1.5)
        self.target.write("rules/other.lua", EMPTY + HANDLER % "two")
        self.send_for(1.5)
        self.check_nothing_is_lost()
        self.assertEqual(self.target.column("select key2 from effect order by id desc limit 1"), ["two"])

    def test_slow_copy(self):
        self.begin(all=ALL)
        with open(self.path("rules/all.lua"), "w") as copy:
            for line in ALL.replace("'one'", "'copied'").splitlines(keepends=True):
                copy.write(line)
                copy.flush()
                self.send_for(0.6)
        self.wait_for("the copy to be taken", lambda: self.target.events("rules.loaded"))
        self.check_nothing_is_lost()
        self.assertEqual(self.target.column("select key2 from effect order by id desc limit 1"), ["copied"])

    def test_start_in_the_middle_of_a_deploy(self):
        self.begin(way=HEAD + SUBSCRIBE, handler=EMPTY + HANDLER % "one")
        self.send_for(0.3)
        self.wait_drained(self.target)
        self.target.stop()
        for name in "way", "handler":
            os.rename(self.path(f"rules/{name}.lua"), self.path(f"{name}.away"))
        self.target.start()
        self.assert_words(self.waiting(), "way.lua", "handler.lua", "subscription")
        self.send_for(1)
        os.rename(self.path("way.away"), self.path("rules/way.lua"))
        self.send_for(1)
        os.rename(self.path("handler.away"), self.path("rules/handler.lua"))
        self.check_nothing_is_lost()

    def test_what_stays_away_is_taken_away(self):
        self.begin(way=HEAD + SUBSCRIBE, handler=EMPTY + HANDLER % "one")
        os.remove(self.path("rules/handler.lua"))
        self.wait_for("the router to wait", self.waiting)
        self.assert_words(self.target.run("status").out, "not in force yet: .*handler.lua")
        self.wait_equal("the files to be taken", lambda: self.target.status()["rules"]["handlers"], 0)
        self.assertTrue(self.target.events("rules.removed"))

    def test_who_asks_is_told_what_is_taken_away(self):
        self.begin(way=HEAD + SUBSCRIBE, handler=EMPTY + HANDLER % "one")
        os.remove(self.path("rules/handler.lua"))
        self.assert_words(self.target.run("reload").out, r"^reloaded: generation 2",
                          r"warning  takes away    file rules/handler\.lua",
                          r"warning  takes away    the handler of note \*")
        self.target.emit("note", key1="0")
        self.sent = 1
        self.wait_equal("it to wait", lambda: self.target.status()["retries"], 1)
        self.target.write("rules/handler.lua", EMPTY + HANDLER % "one")
        self.check_nothing_is_lost()
