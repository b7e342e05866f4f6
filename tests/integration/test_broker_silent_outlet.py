"""An exchange that confirms nothing, or that no queue takes anything from, holds no other one."""

import struct

import proxy
import rabbit
from harness import Case, World

PUBLISH, ACK = (60, 40), (60, 80)
METHOD = 1

TWO = """
local herald = require "herald"
herald.route { type = "sick", to = herald.fanout "$sick" }
herald.route { type = "note", to = herald.fanout "$exchange" }
"""


class Frames:
    """Cuts a stream into AMQP's frames; what comes before them is the protocol header."""

    def __init__(self):
        self.rest = b""
        self.begun = False

    def of(self, data):
        self.rest += data
        if not self.begun and self.rest.startswith(b"AMQP"):
            self.begun, self.rest = True, self.rest[8:]
        while len(self.rest) >= 7:
            kind, channel, size = struct.unpack(">BHI", self.rest[:7])
            if len(self.rest) < size + 8:
                return
            frame, self.rest = self.rest[:size + 8], self.rest[size + 8:]
            method = struct.unpack(">HH", frame[7:11]) if kind == METHOD and size >= 4 else None
            yield channel, method, frame


class Silencer(proxy.Proxy):
    """A broker of which one exchange confirms nothing, as long as `outlet` names it."""

    def __init__(self, port, outlet):
        self.outlet = outlet
        self.streams = {}
        self.channels = {}  # of a connection: the channels that publish to the exchange
        super().__init__(port)

    def passed(self, carrier, data):
        """What is passed on of it."""
        sides = (carrier.source, carrier.sink) if carrier.word == "up" else (carrier.sink, carrier.source)
        channels = self.channels.setdefault(sides[0], set())
        frames = self.streams.setdefault(carrier, Frames())
        if carrier.word == "up":
            for channel, method, frame in frames.of(data):
                if method == PUBLISH and frame[14:14 + frame[13]].decode() == self.outlet:
                    channels.add(channel)
            return data
        return b"".join(frame for channel, method, frame in frames.of(data)
                        if not (self.outlet and method == ACK and channel in channels))


class SilentOutlet(Case):
    def setUp(self):
        super().setUp()
        self.use_names("sick")

    def insert(self, router, type_, count):
        router.sql("begin immediate; with recursive n(i) as (select 1 union all select i + 1 from n "
                   f"where i < {count}) insert into herald_outbox(type, business_key1) "
                   f"select '{type_}', i from n; commit;")

    def start(self, broker="rabbit", **settings):
        files = {"rules/a.lua": TWO}
        return self.router(files, broker=broker, **settings)

    def bind(self, exchange):
        """A queue that takes what goes there; how many messages it has."""
        peer = self.peer()
        queue = self.names.get(exchange + "-q") or f"{self.names[exchange]}-q"
        self.named.append(queue)
        peer.channel.exchange_declare(self.names[exchange], "fanout", durable=True)
        peer.channel.queue_declare(queue, durable=True)
        peer.channel.queue_bind(queue, self.names[exchange])
        return lambda: peer.channel.queue_declare(queue, passive=True).method.message_count

    def test_an_exchange_that_confirms_nothing(self):
        """docs/faults.md#f52: 3,000 rows for it, and what comes behind them goes out."""
        sick, well = self.bind("sick"), self.bind("exchange")
        wire = Silencer(World.node.port, self.names["sick"])
        self.addCleanup(wire.close)
        url = World.node.url_for(rabbit.USER, rabbit.PASSWORD, port=wire.port)
        router = self.start(url, confirm_timeout="2s").start()
        self.insert(router, "sick", 3000)
        self.insert(router, "note", 200)
        self.wait_equal("what goes elsewhere", well, 200)
        self.wait_for("the reason", lambda: f'exchange "{self.names["sick"]}" has confirmed nothing '
                      "since" in router.status()["broker"]["error"])
        waiting = router.json("outbox", "list", "--limit", "1000")
        self.assertIn(f"exchange {self.names['sick']}", [row["waits_for"] for row in waiting])
        self.assertLess(sick(), 100)  # probes, no window that is filled time and again
        self.assertEqual(len(router.events("broker.outlet_silent")), 1)
        router.kill()  # what waits is found again
        router.start()
        self.insert(router, "note", 100)
        self.wait_equal("what goes elsewhere", well, 300)
        wire.outlet = None
        self.wait_drained(router)
        self.assertGreaterEqual(sick(), 3000)
        self.assertEqual(router.dead(), [])

    def test_a_crowd_that_no_queue_takes(self):
        """docs/faults.md#f52: 5,000 rows that come back, and what comes behind them goes out."""
        well = self.bind("exchange")
        router = self.start()
        router.start()
        self.insert(router, "sick", 5000)
        self.insert(router, "note", 200)
        self.wait_equal("what goes elsewhere", well, 200)
        self.assertGreater(router.rows("select count(*) from herald_outbox")[0][0], 4900)
        self.wait_equal("their confirms", lambda: router.counter("confirmed"), 200)
        router.run("outbox", "drop", "--type", "sick")
        self.wait_drained(router)
