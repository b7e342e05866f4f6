"""Kill points: the router dies at each step where it matters (docs/faults.md#f1), is started again,
and an independent count finds every order enrolled exactly once.

Both services run on the shared broker and go on from one point to the next, each with orders of
its own. With --long each point kills at several passes.
"""

import signal
import time

import enrolment
from harness import Case, World, has_points, takes_long

ORDERS = 20  # for each point: enough turns and writes to reach every pass

# Places (core/README.md) on the way out and on the way in, and at which pass they kill.
SENDING = {
    "outbox_read": 5, "send_half": 14, "sent": 2, "confirm_read": 2,
    "confirm_deleted": 2, "confirm_committed": 2,
}
TAKING = {
    "begun": 2, "delivery_read": 5, "inbox_entered": 5, "handler_wrote": 7, "released": 5,
    "handled": 2, "handled_committed": 2, "send_half": 18,
}


class Points(Case):
    def setUp(self):
        super().setUp()
        if not has_points():
            self.skipTest("this build has no failpoints (cmake -DHERALD_FAILPOINTS=ON)")
        self.numbers = range(0)

    def start_both(self, change_rule=None):
        self.orders = enrolment.make_orders(self).start()
        self.learning = enrolment.make_learning(self)
        if change_rule is not None:
            change_rule()
        self.learning.start()

    def seed(self, count):
        fresh = range(len(self.numbers), len(self.numbers) + count)
        enrolment.seed_orders(self.orders.store, fresh)
        enrolment.seed_choices(self.learning.store, fresh)
        self.numbers = range(len(self.numbers) + count)
        return fresh

    def arm(self, router, plan, ready=True):
        """Starts it anew with this plan. It must live to become ready, so that from then on
        what it writes to the broker are publishes or acks."""
        if router.running():
            router.stop()
        router.fail = plan
        router.start(ready=ready)
        router.fail = None

    def dies(self, router, what, number=signal.SIGKILL):
        self.assertEqual(router.wait_exit(30), -number, f"{router.name} was to die at {what}")

    def pay_each(self, fresh):
        """Slowly enough for a turn each, or nearly."""
        store = enrolment.connect(self.orders.store)
        for number in fresh:
            enrolment.pay(store, number)
            time.sleep(0.02)
        store.close()

    def check_all(self):
        self.wait_equal("all to be enrolled", lambda: enrolment.chosen(self.learning),
                        len(self.numbers))
        self.wait_drained(self.orders)
        self.wait_settled(self.learning)
        enrolment.check_enrolled(self, self.learning, self.numbers)
        enrolment.check_sent(self, self.orders)
        for router in (self.orders, self.learning):
            self.assertEqual(router.rows("pragma integrity_check"), [("ok",)])

    def kill_at(self, victim, point, nth):
        fresh = self.seed(ORDERS)
        self.arm(victim, f"{point}:{nth}:kill", ready=point != "checkpoint")
        self.pay_each(fresh)
        self.dies(victim, f"{point}:{nth}")
        victim.start()
        self.check_all()

    def sweep(self, victim, points):
        for point, nth in points.items():
            for n in range(nth, nth + 4 if World.long and point != "checkpoint" else nth + 1):
                self.kill_at(victim, point, n)

    def test_on_the_way_out(self):
        """docs/faults.md#f1, of the router that publishes; invariants I1, I2, I3, I7."""
        self.start_both()
        self.sweep(self.orders, SENDING)

    @takes_long
    def test_on_the_way_in(self):
        """docs/faults.md#f1, of the router that consumes; invariants I1 to I4, I7."""
        self.start_both()
        self.sweep(self.learning, TAKING)

    def fail_first(self):
        rule = "rules/enrol.lua"
        text = enrolment.read_learning(True)[rule]
        self.assertEqual(text.count(enrolment.EFFECT), 1)
        self.learning.write(rule, text.replace(
            enrolment.EFFECT, "  if msg.attempt == 1 then herald.retry('50ms', 'first') end\n"
            + enrolment.EFFECT))

    def test_after_a_retry_is_written(self):
        """docs/faults.md#f1"""
        self.start_both(self.fail_first)
        self.sweep(self.learning, {"retry_written": 3})
        self.assertGreaterEqual(self.learning.counter("retried"), 1)

    def test_in_a_checkpoint(self):
        """docs/faults.md#f1: pages are in the database, the WAL is not cut yet."""
        self.start_both()
        self.sweep(self.orders, {"checkpoint": 1})
        self.sweep(self.learning, {"checkpoint": 1})

    def test_in_a_reload(self):
        """docs/faults.md#f1: the next generation is ready, the old one works."""
        self.start_both()
        for router in (self.orders, self.learning):
            fresh = self.seed(ORDERS)
            self.arm(router, "reload:1:kill")
            self.pay_each(fresh)
            router.write("rules/zz.lua", "-- more\n")
            self.dies(router, "reload")
            router.start()
            self.check_all()

    def test_in_a_shutdown(self):
        """docs/faults.md#f1: the drain has ended, the connections are not closed."""
        self.start_both()
        for router in (self.orders, self.learning):
            fresh = self.seed(ORDERS)
            self.arm(router, "shutdown:1:kill")
            self.pay_each(fresh)
            router.signal(signal.SIGTERM)
            self.dies(router, "shutdown")
            router.start()
            self.check_all()

    def test_a_commit_that_the_disk_refuses(self):
        """docs/faults.md#f24, #f26: a full disk is waited for; after an I/O error the process
        ends."""
        self.start_both()
        for router in (self.orders, self.learning):
            fresh = self.seed(ORDERS)
            self.arm(router, "commit:10:enospc")
            self.pay_each(fresh)
            self.check_all()
            self.wait_for("the pause", lambda r=router: r.events("engine.resumed"))
            fresh = self.seed(ORDERS)
            self.arm(router, "commit:10:eio")
            self.pay_each(fresh)
            self.assertEqual(router.wait_exit(30), 1, "an I/O error of a commit ends the process")
            self.assertEqual(len(router.events("engine.fatal")), 1)
            router.start()
            self.check_all()
