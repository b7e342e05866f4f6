"""Faults of the wire between a router and its broker, with proxy.py in between.

Every test counts what arrives independently: nothing is lost, nothing takes effect twice.
"""

import random
import time

from harness import Case, World


class Wire(Case):
    def start(self, **settings):
        self.wire, url = self.proxy()
        self.target = self.router(broker=url, **settings).start()
        self.sent = 0

    def emit(self, count=1):
        keys = [f"k{self.sent + n}" for n in range(count)]
        self.sent += count
        self.target.sql("begin immediate;" + "".join(
            f"insert into herald_outbox (type, business_key1) values ('note', '{key}');"
            for key in keys) + "commit;")

    def check(self):
        """Each row that was emitted has exactly one effect."""
        wanted = sorted(f"k{n}" for n in range(self.sent))
        self.wait_equal("all effects", lambda: len(self.target.effects()), self.sent)
        self.wait_drained(self.target)
        self.wait_settled(self.target)
        self.assertEqual(sorted(self.target.effects()), wanted)
        self.assertEqual(self.target.dead(), [])

    def test_cut_at_any_byte(self):
        """docs/faults.md#f9: by RST, in both directions, at bytes all over the conversation."""
        self.start()
        places = [("up", n) for n in (1, 9, 300, 700, 1000)]
        places += [("down", n) for n in (1, 7, 500, 650)]
        places += [(random.choice(("up", "down")), random.randrange(1, 2000))
                   for _ in range(200 if World.long else 2)]
        for word, at in places:
            self.target.kill()  # a new life begins with short rests between two tries
            self.emit(5)
            self.wire.cut_at = {word: at}
            self.wire.cuts = 2
            self.target.start(ready=False)
            self.wait_equal(f"effects after a cut at byte {at} {word}",
                            lambda: len(self.target.effects()), self.sent)
            self.assertNotIn("broke the protocol", "".join(self.target.events("link.down")))
        self.wire.cuts = 0
        self.check()

    def test_silence_is_noticed(self):
        """docs/faults.md#f8, #f10: half open, both ways; heartbeats tell, and the window bounds
        it."""
        self.start(heartbeat="2s", handler_timeout="1s", publish_window=50)
        for silent in ({"down"}, {"up", "down"}) if World.long else ({"down"},):
            self.wire.silent = silent
            self.emit(200)
            self.wait_for("a part of the window to be full, and no more", lambda: 10 < self.
                          target.status()["broker"]["in_flight"] < 50)
            self.wait_resting(self.target)
            self.wait_for("the silence to be noticed",
                          lambda: self.target.live().get("ready") is False)
            self.wire.silent = set()
            self.check()

    def test_slow_broker(self):
        """docs/faults.md#f10: 10 KB a second is slow, not dead."""
        self.start(heartbeat="2s", handler_timeout="1s")
        links = self.wire.accepted
        self.wire.rate = 10000
        self.emit(60)
        self.check()
        self.wire.rate = None
        self.assertEqual(self.wire.accepted, links)
        self.assertEqual(self.target.counter("timed_out"), 0)

    def test_latency(self):
        """docs/faults.md#f11: at 200 ms the window is made use of, and nobody is taken for dead."""
        self.start(heartbeat="2s", handler_timeout="1s", publish_window=100)
        links = self.wire.accepted
        self.wire.delay = 0.2
        self.emit(1500)  # so many that a slow machine sees them under way, too
        self.wait_for("its part of the window to be full",
                      lambda: self.target.live().get("in_flight", 0) > 80)
        self.check()
        self.assertEqual(self.wire.accepted, links)

    def test_cuts_at_any_time(self):
        """docs/faults.md#f9: again and again under load, with some of it unheard before."""
        self.start()
        for turn in range(40 if World.long else 8):
            self.emit(100)
            time.sleep(random.uniform(0, 0.15))
            self.wire.silent = random.choice((set(), {"up"}, {"down"}))
            time.sleep(random.uniform(0, 0.05))
            self.wire.cut()
            self.wire.silent = set()
        self.check()
        # Invariant I9: a cut repeats a window of rows and a prefetch of deliveries at most.
        self.assertLessEqual(self.target.counter("duplicates"), 8 * 300)
