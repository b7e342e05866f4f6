"""docs/faults.md#f62: the broker ends a consumer that holds a message for too long.

Up to RabbitMQ 4.2 it closes the channel (docs/faults.md#f20, in test_broker_stalls); from 4.3 it
cancels the consumer of a quorum queue, and an ack that comes later would revive it.
"""

import struct
import threading

from harness import RECORD, Case, World
from proxy import Proxy

SLOW = """
local herald = require "herald"
herald.subscribe { queue = "$queue" }
herald.on("note", "*", function(msg, tx)
  if tx:value("select count(*) from effect") == 0 then
    local till = herald.now() + 2000
    while herald.now() < till do end
  end
  tx:exec("insert into effect (queue, message_id, type, key1) values (?, ?, ?, ?)", msg.queue,
    msg.id, msg.type, msg.business_key1)
end)
"""
CANCEL, ACK, CLOSE, OPEN = (60, 30), (60, 80), (20, 40), (20, 10)


class Tape(Proxy):
    """A wire that notes the methods on it, both directions in the order in which they came here."""

    def __init__(self, port):
        self.methods = []  # (direction, channel, (class, method))
        self.rests = {}
        self.lock_of_tape = threading.Lock()
        super().__init__(port)

    def heard(self, carrier, data):
        with self.lock_of_tape:
            rest = self.rests.get(carrier, b"") + data
            if rest.startswith(b"AMQP"):
                rest = rest[8:]
            while len(rest) >= 7:
                kind, channel, size = struct.unpack(">BHI", rest[:7])
                if len(rest) < size + 8:
                    break
                if kind == 1:
                    self.methods.append((carrier.word, channel, struct.unpack(">HH", rest[7:11])))
                rest = rest[size + 8:]
            self.rests[carrier] = rest

    def acks_after_cancel(self):
        """How often a channel was acked on after its consumer was cancelled, and how many were."""
        with self.lock_of_tape:
            methods = list(self.methods)
        dead, cancels, acks = set(), 0, 0
        for word, channel, method in methods:
            if word == "down" and method == CANCEL:
                dead.add(channel)
                cancels += 1
            elif word == "up" and method in (CLOSE, OPEN):
                dead.discard(channel)
            elif word == "up" and method == ACK:
                acks += channel in dead
        return acks, cancels


class ConsumerTimeout(Case):
    def test_a_handler_outlives_the_timeout_of_a_quorum_queue(self):
        """docs/faults.md#f62: nothing is acked after the cancel; what was committed is a known
        duplicate, and so are the neighbours that were in the same turn."""
        if World.node.version < (4, 3):
            self.skipTest("RabbitMQ 4.3 is the first that cancels a consumer for this")
        peer = self.peer()
        queue = self.names["queue"]
        peer.channel.queue_declare(queue, durable=True, arguments={
            "x-queue-type": "quorum", "x-consumer-timeout": 1000})
        for number in range(10):
            peer.send("", '{"messageType":"note","businessKey1":"%d"}' % number, queue,
                      message_id=f"m{number}")
        tape = Tape(World.node.port)
        self.addCleanup(tape.close)
        url = World.node.url.replace(f":{World.node.port}/", f":{tape.port}/")
        router = self.router({"migrations/001_effect.sql": RECORD, "rules/a.lua": SLOW}, broker=url)
        router.start()
        self.wait_equal("all effects", lambda: sorted(router.effects()),
                        [str(number) for number in range(10)])
        self.wait_settled(router)
        acks, cancels = tape.acks_after_cancel()
        self.assertGreater(cancels, 0)
        self.assertEqual(acks, 0, "acks after the consumer was cancelled")
        self.assertGreater(router.counter("duplicates"), 0)
        self.assertEqual(router.dead(), [])
        for line in router.events("broker.consume_stopped"):
            self.assert_words(line, "unacked for [1-9].[0-9] s, perhaps longer than the consumer timeout")
