"""docs/faults.md#f21, docs/design.md#delivery-limits: what the broker gives up on, since the router
died again and again with it unacked.

Quorum queues have a delivery limit (20 by default from RabbitMQ 4.0). What reaches it goes to the
queue's dead-letter queue, and from there into herald's dead letters.
"""

import json
import os
import re
import shlex

from harness import RECORDER, ROOT, Case, World
from rabbit import DEAD, PASSWORD

LIMIT = 3
GIVEN_UP = "delivery limit"
STATED = """
local herald = require "herald"
herald.route { type = "note", to = herald.fanout "$exchange" }
herald.subscribe { queue = "$queue", from = herald.fanout "$exchange", queue_type = "quorum" }
herald.on("note", "*", function(msg, tx)
  tx:exec("insert into effect (queue, message_id, type, key1) values (?, ?, ?, ?)", msg.queue,
    msg.id, msg.type, msg.business_key1)
end)
"""


class DeliveryLimit(Case):
    def setUp(self):
        super().setUp()
        with open(World.herald, "rb") as program:
            if b"HERALD_FAIL" not in program.read():
                self.skipTest("this build has no failpoints (cmake -DHERALD_FAILPOINTS=ON)")
        self.queue = self.names["queue"]

    def set_policy(self, **definition):
        """As a person does it. A policy is applied to what exists, too."""
        World.node.ctl("set_policy", self.tag, f"^{self.queue}$", json.dumps(definition),
                       "--apply-to", "queues")
        self.addCleanup(World.node.ctl, "clear_policy", self.tag)

    def send(self, count):
        peer = self.peer()
        keys = [f"k{n}" for n in range(count)]
        for key in keys:
            peer.send(self.names["exchange"], json.dumps({"messageType": "note",
                                                          "businessKey1": key}),
                      message_id="m" + key)
        return keys

    def crash(self, router, times):
        """Each time with all that it was given unacked: nothing of it is committed."""
        for _ in range(times):
            router.die("begun:1:kill")

    def accounted(self, router):
        return sorted(router.effects() + router.column("select business_key1 from herald_dead"))

    def check_replay(self, router, keys):
        """Each was applied once, or is a dead letter that says why; replayed, it is applied."""
        self.wait_equal("all to be accounted for", lambda: self.accounted(router), sorted(keys))
        dead = router.dead()
        self.assertGreater(len(dead), 0)
        for letter in dead:
            self.assertIn(GIVEN_UP, letter["error"])
            self.assertEqual((letter["queue"], letter["type"]), (self.queue, "note"))
        router.run("dead", "replay", "--queue", self.queue, "--all")
        self.wait_equal("all effects", lambda: sorted(router.effects()), sorted(keys))
        self.wait_settled(router)
        self.assertEqual(World.node.depth(self.queue + DEAD), 0)
        self.assertEqual(router.dead(), [])

    def test_what_reaches_the_limit_is_a_dead_letter(self):
        """docs/faults.md#f21: herald has made the queue, a policy sets the limit; nothing is
        lost."""
        router = self.router({**RECORDER, "rules/a.lua": STATED}).start()
        router.stop()
        self.assertEqual(World.node.depth(self.queue + DEAD), 0)
        self.set_policy(**{"delivery-limit": LIMIT})
        keys = self.send(30)
        self.crash(router, LIMIT + 1)
        router.start()
        self.check_replay(router, keys)
        self.assertTrue(router.events("message.dead"))

    def commands_of_the_paper(self):
        """The block of docs/wire.md#the-delivery-limit, which holds for brokers of every version."""
        with open(os.path.join(ROOT, "docs", "wire.md"), encoding="utf-8") as paper:
            block, = re.findall(r"```sh\n(.*?)```", paper.read(), re.DOTALL)
        words = shlex.split(block.replace("QUEUE", self.queue))
        second = words.index("rabbitmqctl", 1)
        return words[:second], words[second:]

    def test_a_queue_of_a_person_is_taken_as_it_is_and_its_dead_letters_are_taken(self):
        """docs/faults.md#f21: nothing stated; a policy leads what the broker gives up on to a queue
        made by hand. The router dies once more, with them unacked from there."""
        channel = self.peer().channel
        channel.queue_declare(self.queue, durable=True, arguments={"x-queue-type": "quorum"})
        declare, policy = self.commands_of_the_paper()
        World.node.ctl(*declare[1:])
        self.assertEqual(policy[:4], ["rabbitmqctl", "set_policy", self.queue + "-dead", f"^{self.queue}$"])
        self.set_policy(**json.loads(policy[-1]), **{"delivery-limit": LIMIT})
        router = self.router().start()
        router.stop()
        keys = self.send(10)
        self.crash(router, LIMIT + 2)
        router.start()
        self.check_replay(router, keys)

    def test_a_queue_without_a_dead_letter_exchange_loses_nothing(self):
        """docs/faults.md#f61: it exists, and has a limit that is soon reached. A handler kills the
        router again and again, with all the others unacked; the one that does is a dead letter in
        time."""
        channel = self.peer().channel
        channel.queue_declare(self.queue, durable=True, arguments={
            "x-queue-type": "quorum", "x-delivery-limit": LIMIT})
        router = self.router().start()
        router.stop()
        keys = self.send(30)
        for _ in range(LIMIT + 3):
            router.die("handler_wrote:1:kill")
        self.assertGreater(router.value(
            "select count(*) from herald_retry where error like 'rescued: %' and attempts = 0"), 0)
        router.start()
        self.wait_equal("all to be accounted for", lambda: self.accounted(router), sorted(keys))
        self.wait_settled(router)
        for letter in router.dead():
            self.assert_words(letter["error"], "crashed the router")

    def test_the_limit_of_20_that_nobody_has_set(self):
        """docs/faults.md#f61: it is RabbitMQ's own from 4.0. 22 crashes with unacked messages."""
        if World.node.version < (4,):
            self.skipTest("RabbitMQ 4.0 is the first with a limit of its own")
        self.peer().channel.queue_declare(self.queue, durable=True,
                                          arguments={"x-queue-type": "quorum"})
        router = self.router().start()
        router.stop()
        keys = self.send(30)
        for _ in range(22):
            router.die("handler_wrote:1:kill")
        router.start()
        self.wait_equal("all to be accounted for", lambda: self.accounted(router), sorted(keys))
        self.wait_settled(router)

    def test_what_comes_back_where_nothing_keeps_it_is_told(self):
        """docs/faults.md#f61: once is not too often, but the log says what may come of it."""
        self.peer().channel.queue_declare(self.queue, durable=True,
                                          arguments={"x-queue-type": "quorum"})
        router = self.router().start()
        router.stop()
        keys = self.send(3)
        self.crash(router, 1)
        router.start()
        self.wait_equal("all effects", lambda: sorted(router.effects()), sorted(keys))
        self.wait_for("the warning", lambda: router.events("broker.no_dead_letter_queue"))
        self.assertEqual(router.counter("rescued"), 0)
        self.wait_settled(router)

    def test_a_limit_below_rescue_after_counts(self):
        """docs/faults.md#f61: nothing states it, so the router asks for it when the first come
        back."""
        channel = self.peer().channel
        channel.queue_declare(self.queue, durable=True, arguments={
            "x-queue-type": "quorum", "x-delivery-limit": 1})
        router = self.router().start()
        router.stop()
        keys = self.send(30)
        for _ in range(3):
            router.die("handler_wrote:1:kill")
        router.start()
        self.wait_equal("all to be accounted for", lambda: self.accounted(router), sorted(keys))
        self.wait_settled(router)

    def test_what_was_handled_before_is_no_dead_letter(self):
        """docs/faults.md#f21: it died between commit and ack until the broker gave up."""
        router = self.router({**RECORDER, "rules/a.lua": STATED}).start()
        router.stop()
        self.set_policy(**{"delivery-limit": 0})
        keys = self.send(10)
        router.die("handled_committed:1:kill")
        done = router.effects()
        self.assertGreater(len(done), 0)
        router.start()
        self.wait_equal("all to be accounted for", lambda: self.accounted(router), sorted(keys))
        self.wait_settled(router)
        self.wait_equal("an empty dead-letter queue",
                        lambda: World.node.depth(self.queue + DEAD), 0)
        self.assertEqual(self.accounted(router), sorted(keys))
        self.assertTrue(set(done).isdisjoint(l["business_key1"] for l in router.dead()))

    def test_what_cannot_be_read_is_buried_too(self):
        """docs/faults.md#f21, #f40"""
        router = self.router({**RECORDER, "rules/a.lua": STATED}).start()
        self.wait_equal("the dead-letter queue", lambda: World.node.depth(self.queue + DEAD), 0)
        self.peer().channel.basic_publish("", self.queue + DEAD, b"{")
        letter = self.wait_dead(router, 1)[0]
        self.assertEqual(letter["queue"], self.queue)
        self.assertEqual(World.node.depth(self.queue + DEAD), 0)

    def test_a_queue_of_an_earlier_herald_still_starts(self):
        """A quorum queue without a dead-letter queue, and queue_type = "quorum" stated."""
        channel = self.peer().channel
        channel.queue_declare(self.queue, durable=True, arguments={"x-queue-type": "quorum"})
        router = self.router({**RECORDER, "rules/a.lua": STATED})
        found = router.run("check", "--live")
        self.assert_words(found.out + found.err, "without herald's dead-letter queue")
        router.start()
        self.assertEqual(self.send(3), sorted(self.wait_for(
            "effects", lambda: len(router.effects()) == 3 and router.effects())))
        self.assertIsNone(World.node.depth(self.queue + DEAD))
        self.assertTrue(router.status()["broker"]["ready"])
        self.assertTrue(router.events("broker.no_dead_letter_queue"))

    def test_a_dead_letter_queue_that_is_deleted_is_made_again(self):
        """Also by a later start, where the queue was made for it."""
        router = self.router({**RECORDER, "rules/a.lua": STATED}).start()
        self.peer().channel.queue_delete(self.queue + DEAD)
        self.wait_equal("it to be made again",
                        lambda: World.node.depth(self.queue + DEAD), 0)
        router.stop()
        self.peer().channel.queue_delete(self.queue + DEAD)
        router.start()
        self.wait_equal("it to be made again",
                        lambda: World.node.depth(self.queue + DEAD), 0)
        self.assertEqual(router.run("check", "--live").code, 0)

    def test_a_user_who_may_not_dead_letter_still_has_a_queue(self):
        """No right to write to amq.default, which leads there."""
        own = f"^{self.tag}-(queue|exchange)$"
        World.node.add_user("narrow", PASSWORD, own, own, own)
        self.addCleanup(World.node.ctl, "delete_user", "narrow")
        router = self.router(broker=World.node.url_for("narrow", PASSWORD)).start()
        router.emit("note", "a")
        self.wait_equal("the effect", router.effects, ["a"])
        self.assertTrue(router.status()["broker"]["ready"])
        self.assertTrue(router.events("broker.no_dead_letter_queue"))
        self.assertIsNone(World.node.depth(self.queue + DEAD))
