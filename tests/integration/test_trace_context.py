"""W3C trace contexts: carried from message to message over a broker, and fixed before a send."""

import re

from harness import Case

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
MADE = re.compile(r"^00-[0-9a-f]{32}-[0-9a-f]{16}-01$")
HOPS = """
herald.subscribe { queue = "$asked", from = herald.fanout "$exchange", retry = { attempts = 2, delay = "10ms" } }
herald.route { type = "answer", to = herald.queue "$spy" }
herald.on("ask", "*", function(msg, tx)
  if msg.business_key1 == "bad" then error("no") end
  tx:emit { type = "answer", body = { trace = msg.trace and msg.trace.trace_id } }
  if msg.reply_to then tx:reply { yes = true } end
end)
"""
OUT = {"rules/a.lua": 'require "herald".route { type = "out", to = require "herald".queue "$spy" }'}


class Hops(Case):
    def setUp(self):
        super().setUp()
        self.use_names("asked", "spy", "replies")
        self.client = self.peer()
        for queue in ("spy", "replies"):
            self.client.channel.queue_declare(self.names[queue], durable=True)

    def hops(self, **settings):
        return self.router({"rules/a.lua": 'local herald = require "herald"\n' + HOPS},
                           **settings).start()

    def send(self, key="1", **properties):
        self.client.send(self.names["exchange"], f'{{"messageType":"ask","businessKey1":"{key}"}}',
                         message_id=f"m-{key}", **properties)

    def get(self, queue="spy"):
        return self.client.get(self.names[queue])

    def test_a_context_goes_on(self):
        self.hops()
        self.send(headers={"traceparent": PARENT, "tracestate": "k=v"},
                  reply_to=self.names["replies"])
        for queue in ("spy", "replies"):
            headers = self.get(queue)[0].headers
            self.assertRegex(headers["traceparent"], MADE)
            self.assertEqual(headers["traceparent"].split("-")[1], TRACE)
            self.assertNotEqual(headers["traceparent"], PARENT)
            self.assertEqual(headers["tracestate"], "k=v")

    def test_nothing_is_made_unless_it_is_wanted(self):
        router = self.hops()
        self.send(headers={"traceparent": "malformed"})
        properties, body = self.get()
        self.assertIsNone(properties.headers)
        self.assertEqual(body, b"{}")
        self.assertNotIn("trace_id", router.said(1))

    def test_a_letter_has_it_through_its_edit_and_replay(self):
        router = self.hops()
        self.send("bad", headers={"traceparent": PARENT, "a": 1})
        letter = self.wait_dead(router, 1)[0]
        for event in ("message.retry", "message.dead"):
            self.assert_words(router.events(event)[0], f"trace_id={TRACE}")
        number = str(letter["id"])
        router.run("dead", "edit", number, "--header", "a=2", "--key1", "good", "--body",
                   '{"messageType":"ask","businessKey1":"good"}')
        router.run("dead", "replay", number)
        self.assertEqual(self.get()[0].headers["traceparent"].split("-")[1], TRACE)

    def test_children_are_told_across_services(self):
        self.use_names("learned")
        router = self.router({
            "orders/rules/a.lua": """
                local herald = require "herald"
                herald.subscribe { queue = "$asked" }
                herald.route { type = "ask", to = herald.queue "$asked" }
                herald.route { type = "learn", to = herald.queue "$learned" }
                herald.on("ask", "*", function(msg, tx)
                  if msg.attempt == 1 then error("not yet") end
                  tx:emit { type = "learn", message_id = "child" }
                end)""",
            "learning/rules/a.lua": """
                local herald = require "herald"
                herald.subscribe { queue = "$learned", retry = { attempts = 1 } }
                herald.on("learn", "*", function() herald.reject("no such course") end)""",
        }, broker="embedded", include=("orders", "learning"), trace_context="make", history="1d").start()
        router.sql("insert into herald_outbox (type, message_id) values ('ask', 'parent');")
        self.wait_dead(router, 1)
        router.stop()
        steps = router.json("trace", "parent")["steps"]
        children = [step["what"] for step in steps if step.get("emitted_by") == "parent"]
        self.assertTrue(any(what.startswith("emitted by parent: confirmed") for what in children), steps)
        self.assertTrue(any("became dead letter 1 after 1 attempt" in what
                            for what in children), steps)
        self.assertEqual({step["message_id"] for step in steps}, {"parent", "child"})

    def test_one_that_is_made_is_the_same_at_each_send(self):
        self.client.channel.queue_purge(self.names["spy"])
        router = self.router(OUT, trace_context="make")
        router.start().stop()
        router.sql("insert into herald_outbox (type, headers) values ('out', '{\"a\":1}');")
        router.die("confirm_read:1:kill")
        router.start()
        first, second = self.get()[0], self.get()[0]
        self.assertRegex(first.headers["traceparent"], MADE)
        self.assertEqual(first.headers, second.headers)
        self.assertEqual(first.headers["a"], 1)
        self.assertEqual(first.message_id, second.message_id)
        self.wait_drained(router)
