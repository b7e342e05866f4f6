"""How a router ends (docs/faults.md#f46)."""

import signal

import enrolment
from harness import Case, World


class Stop(Case):
    def through_relay(self, **settings):
        relay, url = self.relay()
        relay.open()
        return relay, self.router(broker=url, **settings).start()

    def test_under_load(self):
        """Both services are told to stop in the middle; each order is enrolled once."""
        orders = enrolment.make_orders(self).start()
        learning = enrolment.make_learning(self).start()
        numbers = range(900)
        enrolment.seed_orders(orders.store, numbers)
        enrolment.seed_choices(learning.store, numbers)
        store = enrolment.connect(orders.store)
        self.addCleanup(store.close)
        for third in range(3):
            for number in range(third * 300, third * 300 + 300):
                enrolment.pay(store, number)
            self.wait_for("some to be enrolled",
                          lambda: enrolment.chosen(learning) > third * 300 + 20)
            orders.stop()
            learning.stop()
            orders.start()
            learning.start()
        self.wait_equal("all to be enrolled", lambda: enrolment.chosen(learning), len(numbers))
        self.wait_drained(orders)
        self.wait_settled(learning)
        enrolment.check_enrolled(self, learning, numbers)
        enrolment.check_sent(self, orders)

    def test_in_good_order_nothing_is_sent_twice(self):
        """What was published is confirmed before the router ends, what was taken is acked."""
        self.use_names("spy")
        peer = self.peer()
        peer.listen(self.names["spy"], self.names["exchange"])
        router = self.router().start()
        total = 0
        for _ in range(3):
            total += len(router.emit("note", "x", count=400))
            self.wait_for("some to arrive", router.effects)
            router.stop()
            router.start()
        self.wait_equal("all of them", lambda: len(router.effects()), total)
        self.wait_drained(router)
        self.wait_settled(router)
        self.wait_equal("every message once", lambda: World.node.depth(self.names["spy"]), total)

    def test_idle(self):
        router = self.router(stop_timeout="10m").start()
        router.stop()  # and does not sit it out
        self.assertFalse(router.events("router.killed"))

    def test_by_interrupt(self):
        router = self.router(broker="embedded").start()
        router.signal(signal.SIGINT)
        self.assertEqual(router.wait_exit(), 0)

    def freeze(self, relay, router):
        """From here on no confirm comes, and rows are in flight on a channel that is open."""
        self.open_way(router)
        self.wait_equal("its effect", router.effects, ["first"])
        relay.swallow()
        router.emit("note", "x", count=5)
        self.wait_for("rows in flight", lambda: router.live().get("in_flight") == 5)

    def test_second_signal_ends_at_once(self):
        relay, router = self.through_relay(stop_timeout="10m")
        self.freeze(relay, router)
        router.signal(signal.SIGTERM)
        self.wait_for("it to drain", lambda: router.status()["state"] == "draining")
        router.signal(signal.SIGTERM)
        self.assertEqual(router.wait_exit(), 1)
        relay.close()
        relay.open()
        router.start()
        self.wait_equal("the rows", router.effects, ["first"] + ["x"] * 5)

    def test_broker_says_nothing_any_more(self):
        """Without confirms it waits for its stop_timeout and no longer; the rows are kept."""
        relay, router = self.through_relay(stop_timeout="1s")
        self.freeze(relay, router)
        router.stop()
        self.assertEqual(router.value("select count(*) from herald_outbox"), 5)
        relay.close()
        relay.open()
        router.start()
        self.wait_equal("the rows", router.effects, ["first"] + ["x"] * 5)
        self.wait_drained(router)

    def test_broker_is_dead(self):
        relay, router = self.through_relay(stop_timeout="10m")
        relay.close()
        self.wait_for("the loss to be seen", lambda: router.live().get("ready") is False)
        router.emit("note", "x")
        router.stop()
        self.assertEqual(router.value("select count(*) from herald_outbox"), 1)

    def test_broker_never_was_there(self):
        router = self.router(broker=self.relay()[1], stop_timeout="10m")
        router.start(ready=False)
        self.wait_for("a failed try",
                      lambda: "broker" in router.said(1) or "link" in router.said(1))
        router.stop()
