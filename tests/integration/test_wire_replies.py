"""Requests of other services are answered: to a queue of theirs, and directly."""

import json

import pika

from harness import Case

RULES = """local herald = require "herald"
herald.subscribe {
  queue = "$queue",
  envelope = function(raw, properties)
    local asked = herald.json.decode(raw)
    return { type = asked.pattern, id = properties.correlation_id, body = asked.data }
  end,
}
herald.on("price", "*", function(msg, tx)
  tx:exec("insert into asked (course) values (?)", msg.body.course)
  tx:reply({ price = msg.body.course * 2 }, { format = "nestjs" })
end)
"""


class Replies(Case):
    def setUp(self):
        super().setUp()
        self.use_names("answers")
        self.client = self.peer()
        self.target = self.router({
            "rules/a.lua": RULES,
            "migrations/001.sql": "create table asked (course integer);\n"}, history="1d").start()
        self.wait_for("the queue", lambda: "queue" if self.listens() else None)

    def listens(self):
        return self.target.live().get("state") == "running" and not self.target.live().get("troubles")

    def ask(self, course, reply_to, **more):
        body = json.dumps({"pattern": "price", "data": {"course": course}, "id": str(course)})
        self.client.send("", body, self.names["queue"], reply_to=reply_to,
                         correlation_id=f"c-{course}", **more)

    def check(self, properties, body, course):
        self.assertEqual(json.loads(body), {"response": {"price": course * 2}, "isDisposed": True,
                                            "id": f"c-{course}"})
        self.assertEqual(properties.correlation_id, f"c-{course}")
        self.assertEqual(properties.content_type, "application/json")
        self.assertRegex(properties.message_id, r"^[^:\s]+:\d+$")

    def test_to_a_queue(self):
        queue = self.client.channel.queue_declare(self.names["answers"], exclusive=True).method.queue
        self.ask(7, queue)
        self.check(*self.client.get(queue), 7)
        self.wait_drained(self.target)

    def test_directly(self):
        answers = []
        channel = self.client.channel
        channel.basic_consume("amq.rabbitmq.reply-to", auto_ack=True,
                              on_message_callback=lambda *all: answers.append(all[2:]))
        channel.basic_publish("", self.names["queue"], json.dumps(
            {"pattern": "price", "data": {"course": 8}}), pika.BasicProperties(
                reply_to="amq.rabbitmq.reply-to", correlation_id="c-8"))

        def answered():
            channel.connection.process_data_events(time_limit=0.1)
            return len(answers) > 0

        self.wait_for("the answer", answered)
        self.check(*answers[0], 8)
        self.wait_drained(self.target)
        self.assertEqual(self.target.counter("unwanted"), 0)
        self.assertEqual(self.target.rows("select * from asked"), [(8,)])

    def test_nobody_waits(self):
        self.ask(9, "gone-" + self.names["answers"])
        self.wait_equal("the answer to be unwanted", lambda: self.target.counter("unwanted"), 1)
        self.wait_drained(self.target)
        self.assertEqual(self.target.rows(
            "select outcome, routing_key from herald_history where side = 'outbox'"),
            [("unwanted", "gone-" + self.names["answers"])])
        self.assertEqual(self.target.rows("select * from asked"), [(9,)])
        self.assertEqual(self.target.rows("select * from herald_dead"), [])

    def test_no_answer_is_wanted(self):
        self.client.send("", json.dumps({"pattern": "price", "data": {"course": 1}}),
                         self.names["queue"], correlation_id="c")
        self.wait_equal("the retry", lambda: self.target.column("select error from herald_retry"), [
            "rules/a.lua:11: tx:reply: the message has no reply_to: whoever sent it waits for no "
            "answer"])
        self.assertEqual(self.target.rows("select * from asked"), [])
