"""What herald publishes, as other services see it, and how it meets their declarations."""

import json
import time

import enrolment
from harness import Case, World


class Published(Case):
    def setUp(self):
        super().setUp()
        self.use_names("spy")
        self.client = self.peer()
        self.client.listen(self.names["spy"], self.names["exchange"])
        self.orders = enrolment.make_orders(self).start()

    def get(self):
        return self.client.get(self.names["spy"])

    def insert(self, columns, values):
        self.orders.sql(f"insert into herald_outbox ({columns}) values ({values});")

    def test_body_and_properties(self):
        before = int(time.time())
        self.insert("type, business_key1, business_key2", "'payresult_notify', '16', '60201'")
        properties, body = self.get()
        self.assertEqual(body, b'{"businessKey1":"16","businessKey2":"60201","id":1,'
                               b'"messageType":"payresult_notify"}')
        self.assertRegex(properties.message_id, r"^[^:\s]+:1$")
        self.assertEqual(properties.content_type, "application/json")
        self.assertEqual(properties.type, "payresult_notify")
        self.assertEqual(properties.delivery_mode, 2)
        self.assertEqual(properties.headers, {"business-key-1": "16", "business-key-2": "60201"})
        self.assertTrue(before - 1 <= properties.timestamp <= time.time() + 1)
        self.wait_drained(self.orders)

    def test_ids_go_on_and_keys_are_quoted(self):
        self.insert("type, business_key1, business_key3", "'payresult_notify', '汉字 \"\\', ''")
        self.insert("type", "'payresult_notify'")
        first, body = self.get()
        self.assertEqual(json.loads(body), {"businessKey1": '汉字 "\\', "businessKey3": "", "id": 1,
                                            "messageType": "payresult_notify"})
        self.assertEqual(first.headers, {"business-key-1": '汉字 "\\', "business-key-3": ""})
        second, body = self.get()
        self.assertEqual(body, b'{"id":2,"messageType":"payresult_notify"}')
        self.assertEqual(second.message_id, first.message_id[:-1] + "2")

    def test_body_of_its_own_goes_out_verbatim(self):
        bodies = ['{ "a" : 99.90, "a b":[1 ,2],"n":12345678901234567890,"名":"值" }', "",
                  "\u0001 no json"]
        headers = '{"content_type":"text/plain"}'
        for text in bodies:
            self.insert("type, body, headers", f"'payresult_notify', '{text}', '{headers}'")
        self.insert("type, body", "'payresult_notify', x'00ff80'")
        for text in bodies:
            properties, body = self.get()
            self.assertEqual(body, text.encode())
            self.assertEqual(properties.content_type, "text/plain")
        self.assertEqual(self.get()[1], b"\x00\xff\x80")

    def test_headers_and_message_id_of_its_own(self):
        headers = '{"trace":"甲","n":9007199254740993,"yes":true}'
        self.insert("type, business_key1, headers, message_id",
                    f"'payresult_notify', '1', '{headers}', 'my own id'")
        properties, _ = self.get()
        self.assertEqual(properties.message_id, "my own id")
        self.assertEqual(properties.headers, {"business-key-1": "1", "trace": "甲",
                                              "n": 9007199254740993, "yes": True})

    def test_properties_of_its_own(self):
        own = {"correlation_id": "c-7", "reply_to": "answers", "priority": 5, "expiration": 600000,
               "content_type": "text/plain", "content_encoding": "utf-8", "app_id": "shop",
               "delivery_mode": 1}
        headers = {"priority": 9, "none": None, "deep": {"a": [1, {"b": "c"}]}}
        self.insert("type, body, headers, properties", f"'payresult_notify', 'text', "
                    f"'{json.dumps(headers)}', '{json.dumps(own)}'")
        properties, body = self.get()
        self.assertEqual(body, b"text")
        for name, value in own.items():
            self.assertEqual(getattr(properties, name), str(value) if name == "expiration" else value)
        self.assertEqual(properties.type, "payresult_notify")
        self.assertEqual(properties.headers, headers)
        self.wait_drained(self.orders)

    def test_bad_properties_park_the_row_in_words(self):
        for bad in ('{"priority":256}', '{"prioritty":1}', "priority=1"):
            self.insert("type, properties", f"'payresult_notify', '{bad}'")
        self.insert("type", "'payresult_notify'")
        self.assertEqual(json.loads(self.get()[1])["id"], 4)
        self.wait_equal("dead letters", lambda: self.orders.rows(
            "select properties, error from herald_dead order by id limit 2"), [
                ('{"priority":256}', "properties: priority is 256: it must be a whole number from 0 "
                                     "to 255"),
                ('{"prioritty":1}', "properties: unknown property 'prioritty': did you mean "
                                    "'priority'?")])
        self.assertEqual(self.orders.rows("select count(*) from herald_dead"), [(3,)])

    def test_nothing_of_what_rolls_back(self):
        self.orders.sql("begin immediate; insert into herald_outbox(type, business_key1) "
                        "values ('payresult_notify', 'undone'); rollback;")
        self.orders.sql("begin immediate; insert into herald_outbox(type, business_key1) "
                        "values ('payresult_notify', 'kept'); commit;")
        self.assertEqual(self.get()[0].headers, {"business-key-1": "kept"})
        self.wait_drained(self.orders)
        self.assertEqual(self.orders.counter("published"), 1)

    def test_rows_keep_their_order(self):
        """Invariant I5."""
        self.orders.sql("begin immediate;" + "".join(
            f"insert into herald_outbox(type, business_key1) values ('payresult_notify', '{i}');"
            for i in range(400)) + "commit;")
        keys = [self.get()[0].headers["business-key-1"] for _ in range(400)]
        self.assertEqual(keys, [str(i) for i in range(400)])

    def test_postponed_row_waits(self):
        due = int(time.time() * 1000) + 1500
        self.insert("type, business_key1, due_at", f"'payresult_notify', 'later', {due}")
        self.insert("type, business_key1", "'payresult_notify', 'now'")
        self.assertEqual(self.get()[0].headers["business-key-1"], "now")
        self.assertEqual(self.get()[0].headers["business-key-1"], "later")
        self.assertGreaterEqual(time.time() * 1000, due - 50)  # never early; two clocks


class Emitted(Case):
    def test_emit_of_a_handler_goes_on(self):
        self.use_names("spy", "next")
        peer = self.peer()
        peer.listen(self.names["spy"], self.names["next"], "topic", "course.#")
        router = self.recorder("""
            herald.route { type = "enrolled", to = herald.topic("$next", "course.enrolled") }
            herald.on("paid", "*", function(msg, tx)
              tx:emit { type = "enrolled", business_key1 = msg.business_key1,
                        body = { n = 9007199254740993, name = "课", price = 99.90 } }
              tx:emit { type = "enrolled", business_key1 = "plain" }
            end)
            """).start()
        for _ in range(2):
            peer.send(self.names["exchange"], '{"messageType":"paid","businessKey1":"7"}',
                      message_id="once")
        properties, body = peer.get(self.names["spy"])
        self.assertEqual(json.loads(body), {"n": 9007199254740993, "name": "课", "price": 99.90})
        self.assertIn(b"99.9", body)
        self.assertNotIn(b"99.90000", body)
        self.assertEqual(properties.headers["business-key-1"], "7")
        properties, body = peer.get(self.names["spy"])
        self.assertEqual(json.loads(body)["businessKey1"], "plain")
        self.wait_equal("the duplicate", lambda: router.counter("duplicates"), 1)
        self.wait_drained(router)
        self.assertEqual(router.counter("emitted"), 2)


    def test_byte_arrays_go_on_as_byte_arrays(self):
        self.use_names("spy", "next")
        peer = self.peer()
        peer.listen(self.names["spy"], self.names["next"])
        router = self.recorder("""
            herald.route { type = "forwarded", to = herald.fanout "$next" }
            herald.on("signed", "*", function(msg, tx)
              assert(msg.headers.signature == herald.blob "\\0\\xff")
              if msg.headers.wrong then herald.reject("sent again by a person") end
              tx:emit { type = "forwarded", headers = msg.headers }
            end)
            """).start()
        headers = {"signature": b"\0\xff", "latin": "é".encode(), "deep": {"list": [b"a", "a"]}}
        peer.send(self.names["exchange"], "{}", type="signed", headers=headers)
        self.assertEqual(peer.get(self.names["spy"])[0].headers, headers)
        peer.send(self.names["exchange"], "{}", type="signed", headers={**headers, "wrong": True})
        self.wait_dead(router, 1)
        router.run("dead", "edit", "1", "--header", "wrong")
        router.run("dead", "replay", "1")
        self.assertEqual(peer.get(self.names["spy"])[0].headers, headers)

    def test_a_row_has_byte_arrays(self):
        self.use_names("spy")
        client = self.peer()
        client.listen(self.names["spy"], self.names["exchange"])
        orders = enrolment.make_orders(self).start()
        orders.sql("""insert into herald_outbox (type, headers) values ('payresult_notify',
                   '{"a":{"base64":"AP8="},"b":{"base64":"AP8=","c":1},"d":{"base64":"AP8"}}')""")
        self.assertEqual(client.get(self.names["spy"])[0].headers, {
            "a": b"\0\xff", "b": {"base64": "AP8=", "c": 1}, "d": {"base64": "AP8"}})


class Declared(Case):
    """Who declares first does not matter."""

    def check_flow(self, router, peer):
        peer.send(self.names["exchange"], "{}", type="note", headers={"business-key-1": "x"})
        self.wait_equal("the message", router.effects, ["x"])

    def kind(self):
        listed = World.node.ctl("list_queues", "--no-table-headers", "name", "type")
        return dict(line.split("\t") for line in listed.splitlines())[self.names["queue"]]

    def test_classic_queue_of_another_service(self):
        peer = self.peer()
        peer.listen(self.names["queue"], self.names["exchange"])
        learning = enrolment.make_learning(self).start()
        enrolment.seed_choices(learning.store, [1])
        peer.send(self.names["exchange"], json.dumps({
            "messageType": "payresult_notify", "businessKey1": str(enrolment.CHOICE + 1),
            "businessKey2": "60201"}))
        self.wait_equal("order 1 to be enrolled", lambda: enrolment.chosen(learning), 1)

    def test_other_service_declares_after_herald(self):
        enrolment.make_learning(self).start()
        peer = self.peer()
        peer.listen(self.names["queue"], self.names["exchange"])  # 406 if it differed

    def test_queue_is_taken_as_it_is_where_no_type_is_stated(self):
        peer = self.peer()
        peer.channel.queue_declare(self.names["queue"], durable=True,
                                   arguments={"x-max-length": 1000, "x-message-ttl": 3600000})
        router = self.router().start()
        self.check_flow(router, peer)

    def test_new_queue_is_a_quorum_queue(self):
        router = self.router().start()
        self.check_flow(router, self.peer())
        self.assertEqual(self.kind(), "quorum")
