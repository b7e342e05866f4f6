"""What happens to a broker, and a router that stands still: nothing is lost, nothing doubled.

test_broker_under_load and test_broker_unusable have the other faults of a broker.
"""

import os
import re
import signal
import sqlite3
import time

from harness import RECORDER, RULES, Case, World, disturbs

# The bodies need not be kept to see what took effect.
KEYS = RULES.replace("msg.raw)", "'')")


@disturbs
class Frozen(Case):
    def freeze(self, pid, number=signal.SIGSTOP):
        os.kill(pid, number)

    def hold(self, router, seconds, keys):
        """While the broker stands still: the router answers and takes rows."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            router.status()
            keys.append(f"k{len(keys)}")
            router.sql("insert into herald_outbox (type, business_key1) "
                       f"values ('note', '{keys[-1]}');")
            time.sleep(0.1)

    def check_frozen(self, seconds, **settings):
        router = self.router(heartbeat="2s", handler_timeout="1s", **settings).start()
        keys = []
        self.hold(router, 0.3, keys)
        self.freeze(World.node.pid)
        try:
            self.hold(router, seconds, keys)
            self.wait_equal("it to be taken for dead",
                            lambda: router.live().get("ready"), False)
            self.wait_resting(router)
        finally:
            self.freeze(World.node.pid, signal.SIGCONT)
        self.wait_equal("all effects", lambda: sorted(router.effects()), sorted(keys))
        self.wait_drained(router)
        self.wait_settled(router)
        self.assertEqual(sorted(router.effects()), sorted(keys))
        self.assertEqual(router.dead(), [])

    def test_broker_is_frozen(self):
        """docs/faults.md#f6: SIGSTOP for 5 s, longer than two heartbeats."""
        self.check_frozen(5)

    def test_broker_is_frozen_for_a_minute(self):
        """docs/faults.md#f6"""
        if not World.long:
            self.skipTest("takes a minute: --long")
        self.check_frozen(60)

    def test_router_is_frozen(self):
        """docs/faults.md#f7: the broker drops it; no stale ack on the next channel, no second
        effect."""
        router = self.router(heartbeat="2s", handler_timeout="1s").start()
        peer = self.peer()
        total = 0
        for seconds in (60, 6) if World.long else (6,):
            for number in range(total, total + 300):
                peer.send(self.names["exchange"], '{"messageType":"note","businessKey1":"%d"}'
                          % number, message_id=f"m{number}")
            total += 300
            router.emit("note", "own", count=20)
            self.freeze(router.process.pid)
            time.sleep(seconds)
            self.freeze(router.process.pid, signal.SIGCONT)
            self.wait_for("all effects", lambda: len(router.effects()) >= total + 20 * (total // 300))
        self.wait_drained(router)
        self.wait_settled(router)
        wanted = [str(n) for n in range(total)] + ["own"] * 20 * (total // 300)
        self.assertEqual(sorted(router.effects()), sorted(wanted))

    def lock(self, router):
        """Gives the transaction to end."""
        other = sqlite3.connect(router.store, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("pragma wal_autocheckpoint=0")
        other.execute("begin immediate")
        return other

    def hold_deliveries(self, router, count):
        """What it cannot write down it does not ack. Gives the transaction to end."""
        other = self.lock(router)
        peer = self.peer()
        for number in range(count):
            peer.send(self.names["exchange"], '{"messageType":"note","businessKey1":"%d"}'
                      % number, message_id=f"m{number}")
        self.wait_equal("the deliveries", lambda: router.live().get("unacked"), count)
        return other

    def test_consumer_timeout(self):
        """docs/faults.md#f20: the broker closes the channel of whoever holds deliveries for too
        long, or cancels its consumer (4.3); they come again, and take effect once."""
        timeouts = "application:set_env(rabbit, {}), application:set_env(rabbit, {})."
        World.node.ctl("eval", timeouts.format("consumer_timeout, 1000",
                                               "channel_tick_interval, 500"))
        self.addCleanup(World.node.ctl, "eval", timeouts.format(
            "consumer_timeout, 1800000", "channel_tick_interval, 60000"))
        router = self.router().start()
        other = self.hold_deliveries(router, 50)
        self.wait_for("the consumer to be ended", lambda: re.search(
            "PRECONDITION_FAILED|longer than the consumer timeout", router.said(1)))
        self.assertEqual(router.effects(), [])
        other.execute("rollback")
        self.wait_for("all effects", lambda: len(router.effects()) >= 50)
        self.wait_settled(router)
        self.assertEqual(sorted(router.effects()), sorted(str(n) for n in range(50)))
        self.assertEqual(router.dead(), [])

    def test_large_messages_and_a_locked_store(self):
        """docs/faults.md#f59: what is unacked is bounded by bytes, whatever the prefetch allows;
        the broker has back what is too much, once, and in the end each takes effect once."""
        count, size = 20, 8 << 20
        router = self.router({**RECORDER, "rules/a.lua": KEYS}).start()
        other = self.lock(router)
        peer = self.peer()
        # It stands still meanwhile: it stops consuming after some seconds of a locked store, and a
        # slow machine needs longer to send them.
        self.freeze(router.process.pid)
        try:
            for number in range(count):
                peer.send(self.names["exchange"],
                          b'{"messageType":"note","businessKey1":"%d","x":"%s"}'
                          % (number, b"x" * size), message_id=f"m{number}")
        finally:
            self.freeze(router.process.pid, signal.SIGCONT)
        most = []

        def narrowed():
            most.append(router.status()["broker"])
            # One at a time, or none any more: after some seconds it stops consuming, which on a
            # slow machine is before it has read too much.
            return (most[-1]["unacked"] == 1 and router.events("broker.prefetch_narrowed")
                    or most[-1]["unacked"] == 0 and router.events("engine.consuming_stopped"))

        self.wait_for("a smaller prefetch", narrowed)
        other.execute("rollback")
        self.wait_equal("all effects", lambda: (most.append(router.status()["broker"]),
                                                len(router.effects()))[1], count)
        self.wait_settled(router)
        self.assertLessEqual(max(m["unacked_bytes"] for m in most), 64 << 20)
        self.assertLessEqual(max(m["unacked"] for m in most) * size, 64 << 20)
        self.assertEqual(sorted(router.effects()), sorted(str(n) for n in range(count)))
        self.assertEqual(len(router.events("broker.prefetch_narrowed")), 1)


class Two(Case):
    def test_one_of_two_routers_dies(self):
        """docs/faults.md#f23: two stores, one queue: nothing is lost, and each store has a message
        once; whatever came to both was in flight when one died."""
        pair = [self.router(name=name).start() for name in ("left", "right")]
        peer = self.peer()
        for number in range(600):
            peer.send(self.names["exchange"], '{"messageType":"note","businessKey1":"%d"}'
                      % number, message_id=f"m{number}")
            if number == 300:
                self.wait_for("both to work", lambda: all(r.effects() for r in pair))
                pair[0].kill()
        self.wait_equal("all of them", lambda: len({*pair[0].effects(), *pair[1].effects()}), 600)
        self.wait_settled(pair[1])
        for router in pair:
            self.assertEqual(len(set(router.effects())), len(router.effects()))
        pair[0].start()  # what it has, it has
        self.wait_settled(pair[0])
        self.assertEqual(len(set(pair[0].effects())), len(pair[0].effects()))


@disturbs
class Alarms(Case):
    def test_disk_alarm(self):
        """docs/faults.md#f12: publishing pauses and says so, consuming, acks and declarations go
        on."""
        self.use_names("other", "fresh")
        publisher = self.router().start()
        consumer = self.router({**RECORDER, "rules/a.lua": RULES.replace("$queue", "$other")},
                               name="consumer").start()
        peer = self.peer()
        for number in range(100):
            peer.send("", '{"messageType":"note"}', routing_key=self.names["other"],
                      headers={"business-key-1": str(number)})
        World.node.ctl("set_disk_free_limit", "9000GB")
        try:
            publisher.emit("note", "x", count=3)
            self.wait_equal("publishing to be blocked",
                            lambda: publisher.status()["broker"]["state"], "blocked")
            self.assert_words(publisher.status()["broker"]["error"], "disk")
            self.assertFalse(publisher.status()["broker"]["ready"])
            self.wait_equal("consuming to go on", lambda: len(consumer.effects()), 100)
            self.wait_equal("acks to go on", lambda: World.node.depth(self.names["other"]), 0)
            publisher.emit("note", "y")
            self.assertEqual(publisher.status()["outbox"]["pending"], 4)
            self.wait_resting(publisher)
            late = self.router({**RECORDER, "rules/a.lua": RULES.replace("$queue", "$fresh")},
                               name="late").start()
            self.assertEqual(World.node.depth(self.names["fresh"]), 0)
        finally:
            World.node.ctl("set_disk_free_limit", "50MB")
        self.wait_equal("the outbox to drain", lambda: sorted(publisher.effects()),
                        ["x", "x", "x", "y"])
        self.wait_drained(publisher)
        self.wait_equal("the new queue to be bound", lambda: len(late.effects()), 4)
        self.assertEqual(publisher.counter("timed_out"), 0)


class Windows(Case):
    def test_unroutable_in_the_middle_of_a_window(self):
        """docs/faults.md#f19: on one channel, some returned and some taken; each return finds its
        row."""
        self.use_names("topic", "bound")
        peer = self.peer()
        peer.channel.exchange_declare(self.names["topic"], "topic", durable=True)
        peer.channel.queue_declare(self.names["bound"], durable=True)
        peer.channel.queue_bind(self.names["bound"], self.names["topic"], "yes")
        router = self.recorder("""
            herald.route { type = "good", to = herald.topic("$topic", "yes") }
            herald.route { type = "bad", to = herald.topic("$topic", "no"), unroutable = "park" }
            herald.route { type = "later", to = herald.topic("$topic", "late") }
            """).start()
        kinds = [("good", "bad", "good", "later")[n % 4] for n in range(400)]
        router.sql("begin immediate;" + "".join(
            f"insert into herald_outbox (type, business_key1) values ('{kind}', '{n}');"
            for n, kind in enumerate(kinds)) + "commit;")
        letters = self.wait_dead(router, 100)
        self.assertEqual({(letter["type"], letter["side"]) for letter in letters},
                         {("bad", "outbox")})
        self.wait_equal("the good ones to be gone", lambda: router.rows(
            "select type, count(*) from herald_outbox group by type"), [("later", 100)])
        self.wait_equal("all others to have a reason", lambda: router.value(
            "select count(*) from herald_outbox where reason like '%NO_ROUTE%'"), 100)
        self.wait_equal("every good one, once", lambda: World.node.depth(self.names["bound"]), 200)
        keys = [peer.get(self.names["bound"])[0].headers["business-key-1"] for _ in range(200)]
        self.assertEqual(sorted(keys, key=int), [str(n) for n in range(0, 400, 2)])
        self.assertEqual(sorted(int(letter["business_key1"]) for letter in letters),
                         list(range(1, 400, 4)))
        peer.channel.queue_bind(self.names["bound"], self.names["topic"], "late")
        self.wait_drained(router)
        self.assertEqual(World.node.depth(self.names["bound"]), 100)
