"""What other services send, with pika in their place, and what herald makes of it."""

import datetime
import decimal
import json
import sys

import enrolment
from enrolment import CHOICE
from harness import Case

SENT = '{"businessKey1":"16","businessKey2":"60201","id":1,"messageType":"payresult_notify"}'


def envelope(**fields):
    base = {"businessKey1": str(CHOICE + 1), "businessKey2": "60201", "id": 1,
            "messageType": "payresult_notify"}
    return json.dumps({**base, **fields})


class Enrolling(Case):
    """Into the example's learning service."""

    def setUp(self):
        super().setUp()
        self.learning = enrolment.make_learning(self).start()
        enrolment.seed_choices(self.learning.store, range(1, 10))
        self.client = self.peer()

    def send(self, body, **properties):
        self.client.send(self.names["exchange"], body, **properties)

    def wait_counter(self, name, count):
        self.wait_equal(f"{name} to be {count}", lambda: self.learning.counter(name), count)

    def test_body_of_the_existing_services(self):
        enrolment.insert(self.learning.store, "xc_choose_course", [
            ("id, course_id, course_name, user_id, company_id, order_type, course_price, status",
             16, 2, "编译原理", "user-16", 1, "700002", 1.5, "701002")])
        self.send(SENT)
        self.wait_equal("choice 16 to be enrolled", lambda: self.learning.rows(
            "select choose_course_id, course_name from xc_course_tables"), [(16, "编译原理")])

    def test_twice_without_message_id_is_one_effect(self):
        """docs/faults.md#f40: missing id."""
        for _ in range(2):
            self.send(envelope())
        self.wait_counter("duplicates", 1)
        enrolment.check_enrolled(self, self.learning, [1])

    def test_another_key_under_the_same_envelope_id(self):
        self.send(envelope())
        self.send(envelope(businessKey1=str(CHOICE + 2)))
        self.wait_counter("handled", 2)
        enrolment.check_enrolled(self, self.learning, [1, 2])

    def test_unknown_fields_and_dates(self):
        self.send(envelope(createDate="2026-01-31 12:00:00", stateDate=1769860800000,
                           returnResult={"code": "0000", "deep": [1, 2.50, None]}, sequence=None))
        self.wait_counter("handled", 1)
        enrolment.check_enrolled(self, self.learning, [1])

    def test_integer_keys(self):
        self.send(envelope(businessKey1=CHOICE + 3, businessKey2=60201))
        self.wait_counter("handled", 1)
        enrolment.check_enrolled(self, self.learning, [3])

    def test_null_keys(self):
        self.send(envelope(businessKey1=None, businessKey3=None))
        letter = self.wait_dead(self.learning, 1)[0]
        self.assertIn("no choice nil", letter["error"])
        self.assertEqual((letter["business_key1"], letter["order_type"], letter["attempts"]),
                         (None, "60201", 1))

    def test_other_order_type_and_other_type_are_left_alone(self):
        self.send(envelope(businessKey2="60202"))
        self.send(envelope(businessKey2=None))
        self.send(envelope(messageType="course_published"))
        self.wait_counter("unhandled", 3)
        self.assertEqual(self.learning.counter("handled"), 0)
        self.assertEqual(self.learning.dead(), [])
        self.assertEqual(enrolment.chosen(self.learning), 0)
        self.wait_settled(self.learning)

    def test_type_and_keys_in_the_properties(self):
        headers = {"business-key-1": str(CHOICE + 4), "business-key-2": "60201"}
        self.send('{"amount": 99.90}', type="payresult_notify", headers=headers)
        headers["business-key-1"] = CHOICE + 5
        headers["business-key-2"] = 60201
        self.send("paid, thank you", type="payresult_notify", headers=headers,
                  content_type="text/plain")
        self.wait_counter("handled", 2)
        enrolment.check_enrolled(self, self.learning, [4, 5])

    def test_body_stands_above_the_properties(self):
        self.send(envelope(), type="something_else",
                  headers={"business-key-1": str(CHOICE + 9), "business-key-2": "60299"})
        self.wait_counter("handled", 1)
        enrolment.check_enrolled(self, self.learning, [1])

    def test_delivery_of_another_life_of_the_queue(self):
        """Sent while no router was there: nothing is lost, persistent or not."""
        self.learning.stop()
        for number in range(1, 6):
            self.send(envelope(businessKey1=str(CHOICE + number)), delivery_mode=1 + number % 2)
        self.learning.start()
        self.wait_counter("handled", 5)
        enrolment.check_enrolled(self, self.learning, range(1, 6))


class Recording(Case):
    """Into a rule that keeps what it sees."""

    def start(self, rules="", **options):
        router = self.recorder(rules, **options).start()
        return router, self.peer()

    def test_fields_of_a_message(self):
        router, peer = self.start()
        body = ('{"messageType":"note","businessKey1":"一","businessKey2":2,'
                '"businessKey3":"","x":1.10}')
        peer.send(self.names["exchange"], body, message_id="m-1", timestamp=1769860800)
        self.wait_equal("one effect", lambda: router.rows(
            "select queue, message_id, type, key1, key2, key3, attempt, cast(raw as text) "
            "from effect"),
            [(self.names["queue"], "m-1", "note", "一", "2", "", 1, body)])

    def test_headers_of_all_kinds(self):
        """docs/faults.md#f41"""
        router, peer = self.start("""
            herald.on("headers", "*", function(msg, tx)
              local h = msg.headers
              for _, name in ipairs { "text", "yes", "small", "large", "negative", "中文" } do
                tx:exec("insert into effect (key1, key2, key3) values (?, ?, ?)",
                  name, tostring(h[name]), math.type(h[name]) or type(h[name]))
              end
              herald.log.info("headers seen", { n = 6 })
            end)
            herald.on("refused", "*", function() herald.reject("no thanks") end)
            """)
        headers = {
            "text": "plain", "yes": True, "small": 7, "large": 2 ** 53 + 1, "negative": -5,
            "中文": "标题", "bytes": b"\x00\xff", "decimal": decimal.Decimal("99.90"),
            "date": datetime.datetime(2026, 1, 31, 12, 0, 0), "none": None,
            "table": {"a": {"b": [1, "two", None, {"c": True}]}}, "list": [], "empty": {},
        }
        peer.send(self.names["exchange"], "{}", type="headers", headers=headers)
        self.wait_equal("the handler's six rows", lambda: router.rows(
            "select key1, key2, key3 from effect order by id"),
            [("text", "plain", "string"), ("yes", "true", "boolean"), ("small", "7", "integer"),
             ("large", str(2 ** 53 + 1), "integer"), ("negative", "-5", "integer"),
             ("中文", "标题", "string")])
        peer.send(self.names["exchange"], "{}", type="refused", headers=headers)
        kept = json.loads(self.wait_dead(router, 1)[0]["headers"])
        for name in ("text", "yes", "small", "large", "negative", "中文", "none"):
            self.assertEqual(kept[name], headers[name], name)
        self.assertEqual(kept["table"], headers["table"])

    def test_deep_headers_harm_nobody(self):
        """docs/faults.md#f41: what is nested absurdly is dead, its neighbours are handled."""
        router, peer = self.start()
        deep = {}
        for _ in range(2000):
            deep = {"n": deep}
        self.addCleanup(sys.setrecursionlimit, sys.getrecursionlimit())
        sys.setrecursionlimit(10000)  # pika's way to write them
        peer.send(self.names["exchange"], "{}", type="note", headers={"business-key-1": "before"})
        peer.send(self.names["exchange"], "{}", type="note", headers=deep)
        peer.send(self.names["exchange"], "{}", type="note", headers={"business-key-1": "after"})
        letter = self.wait_dead(router, 1)[0]
        self.assert_words(letter["error"], "header", "nested|deep")
        self.wait_equal("its neighbours", router.effects, ["before", "after"])

    def test_long_keys_and_ids(self):
        """docs/faults.md#f40: what fits into AMQP's 255 bytes, and what is longer."""
        router, peer = self.start()
        long = "键" * 85
        for key in (long, long + "x", "k" * 20000):
            peer.send(self.names["exchange"], json.dumps(
                {"messageType": "note", "businessKey1": key}), message_id=long[:-1] + key[-1:])
        self.wait_equal("three effects", router.effects, [long, long + "x", "k" * 20000])

    def test_same_id_with_another_body(self):
        """docs/faults.md#f40: it is reported, and neither vanishes nor takes effect."""
        router, peer = self.start()
        for key in ("first", "second", "first"):
            peer.send(self.names["exchange"], json.dumps(
                {"messageType": "note", "businessKey1": key}), message_id="one-id")
        letter = self.wait_dead(router, 1)[0]
        self.assert_words(letter["error"], "id used twice")
        self.assertEqual((letter["message_id"], letter["business_key1"]), ("one-id", "second"))
        self.wait_equal("one duplicate", lambda: router.counter("duplicates"), 1)
        self.assertEqual(router.effects(), ["first"])

    def test_one_broadcast_in_two_queues_is_two_effects(self):
        """docs/faults.md#f44"""
        self.use_names("other")
        router, peer = self.start("""
            herald.subscribe { queue = "$other", from = herald.fanout "$exchange" }
            """)
        peer.send(self.names["exchange"], "{}", type="note", message_id="both")
        peer.send(self.names["exchange"], "{}", type="note", message_id="both")
        self.wait_equal("two duplicates", lambda: router.counter("duplicates"), 2)
        self.assertEqual(sorted(router.column("select queue from effect")),
                         sorted([self.names["queue"], self.names["other"]]))

    def test_without_any_id_it_is_counted(self):
        router, peer = self.start()
        for _ in range(2):
            peer.send(self.names["exchange"], "{}", type="note", headers={"business-key-1": "x"})
        self.wait_equal("two effects", router.effects, ["x", "x"])
        self.wait_equal("both to be counted", lambda: router.counter("unidentified"), 2)

    def test_what_is_unhandled_may_be_dead(self):
        self.use_names("strict")
        router, peer = self.start("""
            herald.subscribe { queue = "$strict", unhandled = "dead" }
            """)
        peer.send("", "{}", routing_key=self.names["strict"], type="unheard",
                  headers={"business-key-2": "7"})
        letter = self.wait_dead(router, 1)[0]
        self.assert_words(letter["error"], "no handler", "unheard", "herald.on")
        self.assertEqual(letter["queue"], self.names["strict"])
