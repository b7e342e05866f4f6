"""The way of one payment: paid.sql, outbox, broker, handler, course."""

import enrolment
from enrolment import CHOICE, COURSE_NAME
from harness import Case


class Way(Case):
    def enrol_one(self, orders, learning):
        enrolment.pay_in_shell(orders, 1)
        self.wait_equal("order 1 to be enrolled", lambda: enrolment.chosen(learning), 1)
        self.wait_drained(orders)

    def start_both(self):
        orders = enrolment.make_orders(self)
        learning = enrolment.make_learning(self).start()
        orders.start()
        enrolment.seed_orders(orders.store, range(1, 6))
        enrolment.seed_choices(learning.store, range(1, 6))
        return orders, learning

    def check_course(self, learning):
        self.assertEqual(
            learning.rows("select choose_course_id, user_id, course_name, course_type, "
                          "typeof(choose_course_id), julianday(validtime_end) "
                          "- julianday(validtime_start) from xc_course_tables"),
            [(CHOICE + 1, "user-1", COURSE_NAME % 1, "700002", "integer", 365.0)])

    def test_order_is_enrolled_once(self):
        orders, learning = self.start_both()
        self.enrol_one(orders, learning)
        self.check_course(learning)
        enrolment.check_enrolled(self, learning, [1])
        enrolment.check_sent(self, orders)
        self.assertEqual(orders.value("select status from xc_orders where id = ?",
                                      enrolment.ORDER + 1), "600002")
        counters = learning.status()["counters"]
        self.assertEqual((counters["delivered"], counters["handled"], counters["duplicates"]),
                         (1, 1, 0))
        counters = orders.status()["counters"]
        self.assertEqual((counters["published"], counters["confirmed"]), (1, 1))

    def test_told_twice_writes_one_row(self):
        orders, learning = self.start_both()
        orders.stop()
        enrolment.pay_in_shell(orders, 1)
        enrolment.pay_in_shell(orders, 1)
        self.assertEqual(orders.value("select count(*) from herald_outbox"), 1)
        orders.start()
        self.wait_equal("order 1 to be enrolled", lambda: enrolment.chosen(learning), 1)
        self.wait_drained(orders)
        enrolment.pay_in_shell(orders, 1)
        enrolment.pay_in_shell(orders, 2)  # behind it, so that nothing has to be waited out
        self.wait_equal("order 2 to be enrolled", lambda: enrolment.chosen(learning), 2)
        enrolment.check_enrolled(self, learning, [1, 2])
        self.assertEqual(orders.counter("published"), 2)

    def test_same_message_again_changes_nothing(self):
        """docs/faults.md#f44"""
        peer = self.peer()
        self.use_names("spy")
        peer.listen(self.names["spy"], self.names["exchange"])
        orders, learning = self.start_both()
        self.enrol_one(orders, learning)
        properties, body = peer.get(self.names["spy"])
        before = learning.rows("select * from xc_course_tables")
        for _ in range(3):
            peer.channel.basic_publish(self.names["exchange"], "", body, properties)
        self.wait_equal("three duplicates", lambda: learning.counter("duplicates"), 3)
        self.assertEqual(learning.rows("select * from xc_course_tables"), before)
        enrolment.check_enrolled(self, learning, [1])

    def test_combined_folder_on_the_embedded_broker(self):
        both = enrolment.make_combined(self).start()
        numbers = range(1, 31)
        enrolment.seed_orders(both.store, numbers)
        enrolment.seed_choices(both.store, numbers)
        self.enrol_one(both, both)
        self.check_course(both)
        for number in (1, 1, *numbers):
            enrolment.pay_in_shell(both, number)
        self.wait_equal("all to be enrolled", lambda: enrolment.chosen(both), len(numbers))
        self.wait_drained(both)
        enrolment.check_enrolled(self, both, numbers, counted=False)
        self.assertEqual(both.status()["broker"]["state"], "embedded")
        self.assertEqual(both.counter("handled"), len(numbers))
        self.assertEqual(both.value("select count(*) from herald_queue_item"), 0)

    def test_combined_folder_survives_kills(self):
        """docs/faults.md#f1 on the embedded broker: the store is the only truth."""
        both = enrolment.make_combined(self).start()
        numbers = range(1, 201)
        enrolment.seed_orders(both.store, numbers)
        enrolment.seed_choices(both.store, numbers)
        store = enrolment.connect(both.store)
        self.addCleanup(store.close)
        for number in numbers:
            enrolment.pay(store, number)
            if number % 50 == 0:
                both.kill()
                both.start()
        self.wait_equal("all to be enrolled", lambda: enrolment.chosen(both), len(numbers))
        self.wait_drained(both)
        enrolment.check_enrolled(self, both, numbers, counted=False)

    def test_until_idle_ends_by_itself(self):
        both = enrolment.make_combined(self)
        both.run("run", "--until-idle")
        enrolment.seed_orders(both.store, [1])
        enrolment.seed_choices(both.store, [1])
        enrolment.pay_in_shell(both, 1)
        both.run("run", "--until-idle")
        enrolment.check_enrolled(self, both, [1], counted=False)
