"""One outbox row, several destinations: each leg goes its own way."""

from harness import Case

HEAD = 'local herald = require "herald"\n'
LIST = HEAD + """herald.route {
  type = "note",
  to = { herald.fanout "$exchange", herald.%s },
  unroutable = "%s",
}
"""
CHOOSE = HEAD + """herald.route {
  type = "note",
  to = function(msg)
    if msg.business_key1 == "both" then
      return { herald.fanout "$exchange", herald.queue "$other" }
    elseif msg.business_key1 == "bad" then
      error "as told"
    end
    return herald.queue "$other"
  end,
}
"""


class Destinations(Case):
    def setUp(self):
        super().setUp()
        self.use_names("other", "second")
        self.listener = self.peer()
        self.listener.listen(self.names["queue"], self.names["exchange"])

    def start(self, rules):
        self.target = self.router({"rules/a.lua": rules}).start()

    def take_all(self, queue):
        """What lies in a queue, as (message id, body)."""
        messages = []
        while True:
            method, properties, body = self.listener.channel.basic_get(self.names[queue],
                                                                       auto_ack=True)
            if method is None:
                return messages
            messages.append((properties.message_id, body.decode()))

    def wait_left(self, count):
        self.wait_equal("rows to be left", lambda: self.target.value(
            "select count(*) from herald_outbox where leg_kind is not null and attempts > 0"), count)

    def test_each_queue_gets_every_message_once(self):
        self.listener.listen(self.names["other"], self.names["second"])
        self.start(LIST % ('fanout "$second"', "retry"))
        self.target.emit("note", "16", count=50)
        self.wait_drained(self.target)
        first, second = self.take_all("queue"), self.take_all("other")
        self.assertEqual(first, second)
        self.assertEqual(len(dict(first)), 50)
        self.assertRegex(first[0][0], r"^[^:]+:1$")
        self.assertEqual(first[0][1], '{"businessKey1":"16","id":1,"messageType":"note"}')
        self.assertEqual(self.target.counter("published"), 100)

    def test_leg_without_a_queue_waits_alone(self):
        self.start(LIST % ('queue "$other"', "retry"))
        self.target.emit("note", "16")
        self.wait_left(1)
        self.assertEqual(len(self.take_all("queue")), 1)
        self.target.stop()
        self.target.start()
        self.wait_left(1)
        self.listener.channel.queue_declare(self.names["other"], durable=True)
        self.wait_drained(self.target)
        self.assertEqual(len(self.take_all("other")), 1)
        self.assertEqual(self.take_all("queue"), [])  # not again

    def test_leg_to_an_exchange_of_another_kind_waits_alone(self):
        self.listener.channel.exchange_declare(self.names["second"], "fanout", durable=True)
        self.start(LIST % ('topic("$second", "a.b")', "retry"))
        self.target.emit("note", "16")
        self.wait_equal("the first leg", lambda: len(self.take_all("queue")), 1)
        self.target.kill()
        self.listener.channel.exchange_delete(self.names["second"])
        self.listener.listen(self.names["other"], self.names["second"], "topic", "a.*")
        self.target.start()
        self.wait_drained(self.target)
        self.assertEqual(len(self.take_all("other")), 1)

    def test_parked_leg_says_where_it_was_to_go(self):
        self.start(LIST % ('queue "$other"', "park"))
        self.target.emit("note", "16")
        letter, = self.wait_dead(self.target, 1)
        self.assertEqual(self.target.value("select routing_key from herald_dead"),
                         self.names["other"])
        self.wait_drained(self.target)
        sent, = self.take_all("queue")
        self.assertEqual(letter["message_id"], sent[0])

    def test_reload_does_not_change_where_a_leg_goes(self):
        self.start(LIST % ('queue "$other"', "retry"))
        self.target.emit("note", "16")
        self.wait_left(1)
        self.target.write("rules/a.lua", HEAD + 'herald.route { type = "note", '
                          'to = herald.fanout "$exchange" }\n')
        self.assert_words(self.target.run("reload").out, "generation 2")
        self.listener.channel.queue_declare(self.names["other"], durable=True)
        self.target.emit("note", "17")
        self.wait_drained(self.target)
        self.assertEqual(len(self.take_all("other")), 1)
        self.assertEqual(len(self.take_all("queue")), 2)

    def test_function_chooses(self):
        self.listener.channel.queue_declare(self.names["other"], durable=True)
        self.start(CHOOSE)
        for key in ("both", "one", "both", "bad"):
            self.target.emit("note", key)
        self.wait_equal("what can go to go",
                        lambda: self.target.column("select business_key1 from herald_outbox"),
                        ["bad"])
        self.assertEqual(len(self.take_all("queue")), 2)
        self.assertEqual(len(self.take_all("other")), 3)
        self.wait_for("the reason", lambda: "as told" in (self.target.value(
            "select reason from herald_outbox") or ""))
        self.target.write("rules/a.lua", CHOOSE.replace('error "as told"', "return herald.queue "
                                                                           '"$other"'))
        self.target.run("reload")
        self.wait_drained(self.target)
        self.assertEqual(len(self.take_all("other")), 1)
