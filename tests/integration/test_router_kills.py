"""kill -9 under load: whatever ends, in whatever order, each order is enrolled exactly once."""

import random

import enrolment
import load
from harness import Case, World


class Services(Case):
    """Both services on the shared broker, with orders to pay."""

    def start_both(self, count):
        self.numbers = range(count)
        self.orders = enrolment.make_orders(self).start()
        self.learning = enrolment.make_learning(self).start()
        enrolment.seed_orders(self.orders.store, self.numbers)
        enrolment.seed_choices(self.learning.store, self.numbers)

    def check_all(self):
        """Counts independently of herald, once nothing is under way any more."""
        count = len(self.numbers)
        self.wait_equal("all to be enrolled", lambda: enrolment.chosen(self.learning), count)
        self.wait_drained(self.orders)
        self.wait_settled(self.learning)
        enrolment.check_enrolled(self, self.learning, self.numbers)
        enrolment.check_sent(self, self.orders)
        for router in (self.orders, self.learning):
            self.assertEqual(router.rows("pragma integrity_check"), [("ok",)])


class Kills(Services):
    def test_routers_are_killed_at_random(self):
        """docs/faults.md#f1; invariants I1 to I4, I7, I9."""
        kills, count, rate = (20, 20000, 400) if World.long else (3, 1500, 250)
        self.start_both(count)
        duplicates = 0
        with load.Load(self.orders, self.numbers, rate) as payer:
            for kill in range(1, kills + 1):
                moment = random.uniform(kill - 0.8, kill) * count / kills
                self.wait_for(f"moment {kill}", lambda: payer.reached(moment),
                              lambda: payer.paid)
                both = [self.orders, self.learning]
                victims = random.sample(both, random.choice((1, 1, 2)))
                duplicates += self.learning.counter("duplicates")
                for victim in victims:
                    victim.kill()
                for victim in random.sample(victims, len(victims)):
                    victim.start()
            self.wait_for("all to be paid", lambda: payer.reached(count), lambda: payer.paid)
        self.check_all()
        duplicates += self.learning.counter("duplicates")
        # Invariant I9: at most a window of each side is repeated by a kill.
        self.assertLessEqual(duplicates, kills * (1200 + 500))
