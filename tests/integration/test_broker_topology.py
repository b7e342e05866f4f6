"""What subscriptions say of their queue, its bindings and its consumer, on a real broker."""

import json

import pika
from harness import Case, World

HEAD = 'local herald = require "herald"\n'
HANDLER = """
herald.on("*", "*", function(msg, tx)
  tx:exec("insert into effect (key) values (?)", msg.id)
end)
"""
EFFECT = "create table effect (id integer primary key, key text);\n"
LIMITS = '["x-max-length"] = 1000, ["x-single-active-consumer"] = true, ["x-message-ttl"] = 86400000'


class Topology(Case):
    def setUp(self):
        super().setUp()
        self.node = World.node

    def listening(self, fields, **options):
        """A router with one subscription to $queue."""
        rule = 'herald.subscribe { queue = "$queue", %s }\n' % fields
        return self.router({"rules/a.lua": HEAD + rule + HANDLER, "migrations/001.sql": EFFECT},
                           **options)

    def of_queue(self, *columns):
        listed = self.node.ctl("list_queues", "--formatter", "json", "name", *columns)
        return next(q for q in json.loads(listed) if q["name"] == self.names["queue"])

    def arguments(self):
        return {a[0]: a[2] if len(a) == 3 else a[1]
                for a in self.of_queue("arguments")["arguments"]}

    def consumers(self):
        listed = self.node.ctl("list_consumers", "--formatter", "json", "queue_name", "arguments",
                               "active")
        return [c for c in json.loads(listed) if c["queue_name"] == self.names["queue"]]

    def effects(self, router, *wanted):
        self.wait_equal("the effects", lambda: sorted(router.column("select key from effect")),
                        sorted(wanted))

    def live(self, router, code):
        return json.loads(router.run("check", "--live", "--json", code=code).out)

    def test_a_queue_is_made_with_its_arguments(self):
        """And a single active consumer is one: the second router waits."""
        router = self.listening("arguments = { %s }" % LIMITS).start()
        had = self.arguments()
        self.assertEqual({n: had[n] for n in ("x-max-length", "x-single-active-consumer",
                                              "x-message-ttl", "x-overflow")},
                         {"x-max-length": 1000, "x-single-active-consumer": True,
                          "x-message-ttl": 86400000, "x-overflow": "reject-publish"})
        self.assertEqual(had["x-dead-letter-routing-key"], self.names["queue"] + ".herald-dead")
        second = self.listening("arguments = { %s }" % LIMITS, name="second").start()
        self.wait_equal("one of two consumers to be active", lambda: sorted(
            c["active"] for c in self.consumers()), [False, True])
        self.assertEqual([f for f in self.live(router, 0) if f["severity"] != "note"], [])
        second.stop()

    def test_a_queue_that_exists_is_taken_as_it_is(self):
        """Whether its type is stated or not; check --live says what differs."""
        self.peer().channel.queue_declare(self.names["queue"], durable=True, arguments={
            "x-max-length": 5, "x-message-ttl": 60000})
        for number, stated in enumerate(("", 'queue_type = "classic", ')):
            router = self.listening(stated + "arguments = { %s }" % LIMITS, name=f"r{number}")
            found = [f["text"] for f in self.live(router, 0) if f["severity"] == "warning"]
            self.assertEqual(len(found), 3, found)
            self.assert_words(" ".join(found), "x-max-length = 5, and its rule has x-max-length = 1000",
                              "x-message-ttl = 60000", "without x-single-active-consumer")
            router.start()
            had = self.arguments()
            had.pop("x-queue-type", None)  # which 4.x adds
            self.assertEqual(had, {"x-max-length": 5, "x-message-ttl": 60000})
            self.assertEqual(bool(router.events("broker.other_arguments")), stated != "")
            router.stop()

    def test_a_queue_with_other_arguments_has_the_stated_type_or_is_refused(self):
        self.peer().channel.queue_declare(self.names["queue"], durable=True,
                                          arguments={"x-max-length": 5})
        router = self.listening('queue_type = "quorum", arguments = { %s }' % LIMITS)
        self.assert_words(" ".join(f["text"] for f in self.live(router, 1)
                                   if f["severity"] == "error"), "exists with type = classic")
        router.start(ready=False)
        self.wait_for("the queue to be refused", lambda: "exists with type = classic" in
                      router.status()["broker"]["error"])

    def test_what_would_be_refused_is_told_before(self):
        """Beside it is what the broker really says."""
        for fields, argument in (('arguments = { ["x-max-priority"] = 5 }', "x-max-priority"),
                                 ('queue_type = "classic", arguments = { ["x-delivery-limit"] = 5 }',
                                  "x-delivery-limit")):
            router = self.listening(fields, name="r" + argument)
            errors = [f["text"] for f in self.live(router, 1) if f["severity"] == "error"]
            self.assertEqual(len(errors), 1, errors)
            self.assert_words(errors[0], "RabbitMQ [0-9.]+ refuses " + argument)
            router.start(ready=False)
            self.wait_for("it to be refused", lambda r=router, a=argument:
                          f"invalid arg '{a}'" in r.status()["broker"]["error"])
            router.stop()

    def test_what_ends_the_connection_is_told_before_and_holds_up_nobody_else(self):
        if self.node.version < (4, 3):
            self.skipTest("from RabbitMQ 4.3 on")
        self.use_names("other")
        router = self.router({"rules/a.lua": HEAD + """
            herald.subscribe { queue = "$queue", queue_type = "classic",
              arguments = { ["x-queue-master-locator"] = "min-masters" } }
            herald.subscribe { queue = "$other" }
            """ + HANDLER, "migrations/001.sql": EFFECT})
        errors = [f["text"] for f in self.live(router, 1) if f["severity"] == "error"]
        self.assertEqual(len(errors), 1, errors)
        self.assert_words(errors[0], "x-queue-master-locator", "ends the connection")
        router.start(ready=False)
        self.wait_for("the other queue to be there", lambda: self.node.depth(
            self.names["other"]) is not None)
        self.peer().send("", "{}", self.names["other"], message_id="1", type="note")
        self.effects(router, "1")

    def test_bindings_by_patterns_and_by_headers(self):
        self.use_names("topics")
        router = self.listening("""from = { herald.topic("$topics", { "a.*", "b.#" }),
            herald.headers("$exchange", { ["x-match"] = "all", k = "v", n = 5 }),
            herald.headers("$exchange", { ["x-match"] = "any", other = true }) }""").start()
        peer = self.peer()

        def send(exchange, key, id_, **headers):
            peer.channel.basic_publish(self.names[exchange], key, b"{}", pika.BasicProperties(
                message_id=id_, type="note", headers=headers))

        send("topics", "a.x", "1")
        send("topics", "a.x.y", "none")
        send("topics", "b.x.y", "2")
        send("exchange", "", "3", k="v", n=5)
        send("exchange", "", "none", k="v")
        send("exchange", "", "4", other=True)
        self.effects(router, "1", "2", "3", "4")

    def test_exchanges_take_from_exchanges(self):
        """A service publishes to one exchange, and others bind what they want of it."""
        self.use_names("events", "orders", "all")
        fields = """from = { herald.fanout("$orders"):from(herald.topic("$events", "order.*")
              :from(herald.headers("$all", { shop = "x" }))), herald.direct("$exchange", "k") }"""
        router = self.listening(fields)
        notes = [f["text"] for f in self.live(router, 0)]
        for name in ("events", "orders", "all"):
            self.assertTrue(any(f'"{self.names[name]}" will be created' in n for n in notes), notes)
        self.assert_words(" ".join(notes), "of exchanges to exchanges, cannot be seen over AMQP")
        router.start()
        peer = self.peer()
        for exchange, key, id_, headers in (
                ("events", "order.paid", "1", {}), ("events", "refund", "none", {}),
                ("all", "order.new", "2", {"shop": "x"}), ("all", "order.new", "none", {"shop": "y"}),
                ("orders", "", "3", {}), ("exchange", "k", "4", {})):
            peer.channel.basic_publish(self.names[exchange], key, b"{}", pika.BasicProperties(
                message_id=id_, type="note", headers=headers))
        self.effects(router, "1", "2", "3", "4")
        router.change("rules/a.lua", (HEAD + 'herald.subscribe { queue = "$queue", '
                                      'from = herald.fanout "$orders" }\n' + HANDLER))
        self.wait_for("it to be told", lambda: any(
            f'exchange={self.names["orders"]} from={self.names["events"]}' in line
            for line in router.events("broker.binding_left")))

    def test_a_route_leads_to_a_headers_exchange(self):
        """The headers of the row decide."""
        self.peer().channel.exchange_declare(self.names["exchange"], "headers", durable=True)
        self.use_names("other")
        for name, value in (("queue", "v"), ("other", "w")):
            channel = self.peers[0].channel
            channel.queue_declare(self.names[name], durable=True)
            channel.queue_bind(self.names[name], self.names["exchange"], "",
                               arguments={"x-match": "all", "k": value})
        router = self.router({"rules/a.lua": HEAD
                              + 'herald.route { type = "note", to = herald.headers "$exchange" }\n'})
        router.start()
        router.sql("""insert into herald_outbox (type, headers) values ('note', '{"k":"w"}')""")
        self.wait_equal("the message", lambda: self.node.depth(self.names["other"]), 1)
        self.assertEqual(self.node.depth(self.names["queue"]), 0)

    def test_the_priority_of_a_consumer(self):
        router = self.listening("priority = 5").start()
        self.assertEqual(priorities(self.consumers()), [5])
        router.change("rules/a.lua", (HEAD + 'herald.subscribe { queue = "$queue", priority = -1 }\n'
                                      + HANDLER))
        self.wait_equal("the priority to be another", lambda: priorities(self.consumers()), [-1])

    def test_an_exclusive_consumer_keeps_others_out_and_waits_for_its_turn(self):
        fields = 'queue_type = "classic", exclusive = true'
        first = self.listening(fields).start()
        second = self.listening(fields, name="second").start()
        self.wait_for("the second to be told", lambda: second.status()["broker"]["troubles"])
        broker = second.status()["broker"]
        self.assertEqual((broker["ready"], broker["error"], broker["troubles"][0]["standby"]),
                         (True, "", True))
        self.assert_words(broker["troubles"][0]["why"], "one of the two is exclusive")
        self.assertEqual(second.run("status", "--check").code, 0)
        self.assert_words(second.run("status").out, "one of the two is exclusive")
        first.stop()
        self.wait_for("the second to take over", lambda: second.events("broker.consuming"))
        self.assertEqual(second.status()["broker"]["troubles"], [])
        self.assertEqual(len(self.consumers()), 1)
        self.assertEqual(len(second.events("broker.standby")), 1)
        self.assertEqual(second.events("broker.consume_stopped"), [])
        self.assertEqual(len(second.events("broker.declared")), 1)


def priorities(consumers):
    return [next(a[-1] for a in c["arguments"] if a[0] == "x-priority") for c in consumers]
