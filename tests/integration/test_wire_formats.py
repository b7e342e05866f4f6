"""Routes with a format: what the consumers of some frameworks are sent, once and for all."""

import json

from harness import Case, World

HEAD = 'local herald = require "herald"\n'


def route(format_):
    return HEAD + f'herald.route {{ type = "paid", to = herald.queue "$queue", format = "{format_}" }}\n'


class Formats(Case):
    def setUp(self):
        super().setUp()
        self.client = self.peer()
        self.client.channel.queue_declare(self.names["queue"], durable=True)

    def test_nestjs_and_celery(self):
        target = self.router({"rules/a.lua": route("nestjs")}).start()
        target.run("emit", "--type", "paid", "--body", '{"id":1}', "--property", "priority=3")
        properties, body = self.client.get(self.names["queue"])
        self.assertEqual(body, b'{"pattern":"paid","data":{"id":1}}')
        self.assertEqual((properties.content_type, properties.priority), ("application/json", 3))
        target.change("rules/a.lua", route("celery"))
        target.run("emit", "--type", "paid", "--key1", "16")
        properties, body = self.client.get(self.names["queue"])
        self.assertEqual(json.loads(body)[:2], [[], {"businessKey1": "16", "id": 2,
                                                     "messageType": "paid"}])
        self.assertEqual(properties.headers, {
            "business-key-1": "16", "task": "paid", "id": properties.message_id, "lang": "py",
            "root_id": properties.message_id})
        self.assertEqual(properties.correlation_id, properties.message_id)
        self.wait_drained(target)

    def test_a_crash_and_a_format_between_send_and_confirm(self):
        """What was sent without a format goes out again without one, whatever rules say by then."""
        plain = HEAD + 'herald.route { type = "paid", to = herald.queue "$queue" }\n'
        relay, url = self.relay()
        relay.open()
        target = self.router({"rules/a.lua": plain}, broker=url).start()
        self.wait_for("the broker", lambda: target.live().get("ready"))
        relay.mute()
        target.run("emit", "--type", "paid", "--body", '{"id":1}')
        self.wait_equal("the message to arrive", lambda: World.node.depth(self.names["queue"]), 1)
        target.change("rules/a.lua", route("nestjs"))
        target.kill()
        relay.close()
        relay.open()
        target.start()
        self.wait_drained(target)
        first, second = (self.client.get(self.names["queue"]) for _ in range(2))
        self.assertEqual(first[1], b'{"id":1}')
        self.assertEqual((first[1], first[0].message_id, first[0].timestamp, first[0].headers),
                         (second[1], second[0].message_id, second[0].timestamp, second[0].headers))

    def test_a_reload_between_send_and_confirm(self):
        relay, url = self.relay()
        relay.open()
        target = self.router({"rules/a.lua": route("nestjs")}, broker=url).start()
        self.wait_for("the broker", lambda: target.live().get("ready"))
        relay.mute()
        target.run("emit", "--type", "paid", "--body", '{"id":1}')
        self.wait_equal("the message to arrive", lambda: World.node.depth(self.names["queue"]), 1)
        target.change("rules/a.lua", route("cap"))
        relay.close()
        relay.open()
        self.wait_drained(target)
        first, second = (self.client.get(self.names["queue"]) for _ in range(2))
        self.assertEqual(first[1], b'{"pattern":"paid","data":{"id":1}}')
        self.assertEqual(first[1], second[1])
        self.assertEqual(first[0].message_id, second[0].message_id)
        self.assertEqual(first[0].headers, second[0].headers)
