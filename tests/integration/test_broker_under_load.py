"""What a broker does to its clients, under load."""

import load
import test_router_kills
from harness import RECORDER, RULES, Case, World, disturbs


@disturbs
class Killed(test_router_kills.Services):
    def test_broker_is_killed_under_load(self):
        """docs/faults.md#f4"""
        count = 1000
        half = count // 2
        self.start_both(count)
        with load.Load(self.orders, self.numbers[:half], 200) as before:
            self.wait_for("some load", lambda: before.reached(half // 2), lambda: before.paid)
            World.node.kill()
            try:
                for router in (self.orders, self.learning):
                    self.wait_for(f"{router.name} to notice",
                                  lambda: router.live().get("ready") is False)
                with load.Load(self.orders, self.numbers[half:], 200) as without:
                    self.wait_for("orders to be paid all the same",
                                  lambda: without.reached(half), lambda: without.paid)
                for router in (self.orders, self.learning):
                    self.wait_resting(router)
            finally:
                World.node.restart()
            self.wait_for("all to be paid", lambda: before.reached(half), lambda: before.paid)
        self.check_all()


UNHEARD = 16  # rows that an exchange is sent before it has confirmed any

class Faults(Case):
    def test_queue_is_deleted_while_consuming(self):
        """docs/faults.md#f13"""
        router = self.router().start()
        router.emit("note", "before")
        self.wait_equal("the first message", router.effects, ["before"])
        channel = World.node.channel()
        for turn in range(2):
            channel.queue_delete(self.names["queue"])
            router.emit("note", f"after {turn}")
            wanted = ["before"] + [f"after {n}" for n in range(turn + 1)]
            self.wait_equal("it to consume again", router.effects, wanted)
            self.wait_for("it to be ready again", lambda: router.live().get("ready"))
        self.wait_drained(router)

    def test_exchange_is_deleted(self):
        """docs/faults.md#f15: while a window is under way; it and its binding are made anew."""
        router = self.router().start()
        channel = World.node.channel()
        total = 0
        for _ in range(3):
            total += len(router.emit("note", "x", count=300))
            self.wait_for("the window", lambda: router.counter("published") > total - 300)
            channel.exchange_delete(self.names["exchange"])
        total += len(router.emit("note", "x", count=10))
        self.wait_equal("all of them", lambda: len(router.effects()), total)
        self.wait_drained(router)
        self.assertEqual(router.dead(), [])

    def test_exchange_is_deleted_twice(self):
        """docs/faults.md#f15: again, right after the consuming side has made it anew."""
        router = self.router().start()
        channel = World.node.channel()
        channel.exchange_delete(self.names["exchange"])
        router.emit("note", "x", count=5)
        self.wait_for("the exchange to be there again",
                      lambda: World.node.has_exchange(self.names["exchange"]))
        channel.exchange_delete(self.names["exchange"])
        self.wait_equal("the messages", router.effects, ["x"] * 5)
        self.wait_drained(router)

    def test_binding_is_removed(self):
        """A broadcast that comes back where a queue of ours should be bound mends the binding."""
        router = self.router().start()
        World.node.channel().queue_unbind(self.names["queue"], self.names["exchange"], "")
        router.emit("note", "x")
        self.wait_for("it to be returned", lambda: router.counter("returned") > 0)
        self.wait_equal("the message", router.effects, ["x"])
        self.wait_drained(router)

    def test_queue_is_purged(self):
        """docs/faults.md#f14: the loss is the operator's, and nobody falls over."""
        router = self.router().start()
        World.node.channel().queue_purge(self.names["queue"])
        router.emit("note", "x")
        self.wait_equal("the message", router.effects, ["x"])

    def test_unroutable_message_waits_for_a_queue(self):
        """docs/faults.md#f19; test_broker_stalls has the one in the middle of a window."""
        self.use_names("lonely", "spy")
        router = self.recorder("""
            herald.route { type = "lonely", to = herald.fanout "$lonely" }
            herald.route { type = "parked", to = herald.fanout "$lonely", unroutable = "park" }
            herald.route { type = "dropped", to = herald.fanout "$lonely", unroutable = "drop" }
            """).start()
        router.sql("begin immediate;" + "".join(
            f"insert into herald_outbox (type, business_key1) values ('{type_}', '{n}');"
            for n in range(5) for type_ in ("note", "lonely", "parked", "dropped")) + "commit;")
        self.wait_equal("the routable ones", router.effects, [str(n) for n in range(5)])
        letters = self.wait_dead(router, 5)
        for letter in letters:
            self.assertEqual((letter["type"], letter["side"]), ("parked", "outbox"))
            self.assert_words(letter["error"], "no queue took it", "NO_ROUTE")
        self.wait_equal("only the lonely ones to be left", lambda: router.rows(
            "select type, count(*) from herald_outbox group by type"), [("lonely", 5)])
        self.wait_equal("all to have a reason", lambda: router.value(
            "select count(*) from herald_outbox "
            "where reason like '%NO_ROUTE%' and attempts > 0"), 5)
        counters = router.status()["counters"]
        self.assertEqual((counters["dropped"], counters["parked"]), (5, 5))
        self.assertGreaterEqual(counters["returned"], 15)
        peer = self.peer()
        peer.listen(self.names["spy"], self.names["lonely"])
        keys = [peer.get(self.names["spy"])[0].headers["business-key-1"] for _ in range(5)]
        self.assertEqual(sorted(keys), [str(n) for n in range(5)])
        self.wait_drained(router)

    @disturbs
    def test_memory_alarm(self):
        """docs/faults.md#f12: publishing pauses and says so, consuming goes on, a queue can be
        declared."""
        self.use_names("other")
        publisher = self.router().start()
        peer = self.peer()
        peer.channel.queue_declare(self.names["other"], durable=True)
        for number in range(100):
            peer.send("", '{"messageType":"note"}', routing_key=self.names["other"],
                      headers={"business-key-1": str(number)})
        consumer = self.router({**RECORDER, "rules/a.lua": RULES.replace("$queue", "$other")},
                               name="consumer")
        World.node.ctl("set_vm_memory_high_watermark", "0")
        try:
            publisher.emit("note", "x", count=3)
            self.wait_equal("publishing to be blocked",
                            lambda: publisher.status()["broker"]["state"], "blocked")
            self.assertNotEqual(publisher.status()["broker"]["error"], "")
            publisher.sql("insert into herald_outbox (type, business_key1, due_at) "
                          "values ('note', 'y', 1);")
            self.assertEqual(publisher.status()["outbox"]["pending"], 4)
            consumer.start()
            self.wait_equal("consuming to go on", lambda: len(consumer.effects()), 100)
            self.wait_settled(consumer, "other")
            self.wait_resting(publisher)
        finally:
            World.node.ctl("set_vm_memory_high_watermark", "0.4")
        self.wait_equal("the outbox to drain", lambda: sorted(publisher.effects()),
                        ["x", "x", "x", "y"])
        self.wait_drained(publisher)
        self.wait_equal("publishing to be up", lambda: publisher.status()["broker"]["state"], "up")
        self.assertEqual(publisher.counter("timed_out"), 0)

    @disturbs
    def test_connections_are_closed_by_the_operator(self):
        """docs/faults.md#f4, #f9: both links at once, again and again, under load."""
        router = self.router().start()
        total = 0
        for _ in range(3):
            total += len(router.emit("note", "x", count=200))
            World.node.ctl("close_all_connections", "a test")
        self.wait_equal("all of them", lambda: len(router.effects()), total)
        self.wait_drained(router)
        self.wait_settled(router)
        self.assertEqual(len(router.effects()), total)

    def test_lost_confirms(self):
        """docs/faults.md#f10: the broker has the rows, its word does not arrive; one effect
        each."""
        self.use_names("spy")
        relay, url = self.relay()
        relay.open()
        router = self.router(broker=url).start()
        self.open_way(router)
        self.peer().listen(self.names["spy"], self.names["exchange"])
        relay.mute()
        router.emit("note", "x", count=UNHEARD)
        self.wait_equal("the rows on the broker", lambda: World.node.depth(self.names["spy"]), UNHEARD)
        relay.close()
        relay.open()
        self.wait_equal("all of them", lambda: len(router.effects()), 1 + UNHEARD)
        self.wait_drained(router)
        self.wait_settled(router)
        self.assertEqual(len(router.effects()), 1 + UNHEARD)
