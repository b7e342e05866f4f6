"""Messages at the borders of what AMQP and herald take (docs/faults.md#f40, #f41): byte-exact, or a
dead letter with the reason. test_wire_bad_messages and test_wire_in have the others."""

import json
import struct

import pika

from harness import RECORDER, Case


def table(pairs):
    """A field table of raw bytes: pairs of a name and (tag, bytes)."""
    body = b"".join(bytes([len(name)]) + name + tag + value for name, (tag, value) in pairs)
    return struct.pack(">I", len(body)) + body


class RawHeaders(pika.BasicProperties):
    """Properties whose header table is given as bytes, right or wrong."""

    def __init__(self, raw, **properties):
        super().__init__(**properties)
        self.raw = raw

    def encode(self):
        plain = super().encode()
        flags = struct.unpack(">H", plain[0][:2])[0] if plain else 0
        joined = b"".join(plain)
        at = 2
        for flag in (0x8000, 0x4000):  # content type and encoding come before the headers
            if flags & flag:
                at += 1 + joined[at]
        return [struct.pack(">H", flags | 0x2000) + joined[2:at] + self.raw + joined[at:]]


class Borders(Case):
    def setUp(self):
        super().setUp()
        self.target = self.router().start()
        self.client = self.peer()

    def send(self, body, **properties):
        self.client.send(self.names["exchange"], body, **properties)

    def send_raw(self, headers, **properties):
        self.client.channel.basic_publish(self.names["exchange"], "", b"{}", RawHeaders(
            headers, delivery_mode=2, **properties), mandatory=True)

    def test_bytes_pass_unchanged(self):
        """docs/faults.md#f40: any body of a content type that is no JSON, with the id at its
        longest."""
        bodies = {
            "a": bytes(range(256)) * 3, "b": b"\0", "c": b"", "d": "文".encode() * 1000,
            "i" * 255: b"long id", "\u6587" * 85: b"long id in UTF-8",
        }
        for id_, body in bodies.items():
            self.send(body, type="note", message_id=id_, content_type="application/octet-stream",
                      headers={"business-key-1": "x"})
        self.wait_equal("an outcome of each", lambda: len(self.target.effects())
                        + self.target.value("select count(*) from herald_dead"), len(bodies))
        seen = dict(self.target.rows("select message_id, coalesce(cast(raw as blob), x'') from effect"))
        for id_, body in bodies.items():
            self.assertEqual(seen.get(id_), body, f"{id_[:9]!r}; dead: {self.target.dead()}")

    def test_id_of_no_length(self):
        """docs/faults.md#f40: an empty message id is no id; two such messages are two."""
        for _ in range(2):
            self.send('{"messageType":"note","businessKey1":"x"}', message_id="")
        self.wait_equal("two effects", self.target.effects, ["x", "x"])
        self.wait_equal("both to be counted", lambda: self.target.counter("unidentified"), 2)

    def test_id_that_is_no_text(self):
        """docs/faults.md#f40: an id of bytes that are no UTF-8 or hold NULs."""
        for id_ in (b"\xff\xfe", b"a\0b"):
            body = b'{"messageType":"note","businessKey1":"x"}'
            self.client.channel.basic_publish(self.names["exchange"], "", body, pika.BasicProperties(
                message_id=id_.decode("latin-1") if id_ == b"a\0b" else id_, delivery_mode=2))
        self.wait_equal("an outcome of both", lambda: len(self.target.effects())
                        + self.target.value("select count(*) from herald_dead"), 2)
        self.wait_settled(self.target)
        self.target.run("dead", "list")

    def test_keys_with_nuls(self):
        """docs/faults.md#f40: a NUL inside a key of the envelope comes to the handler as it is."""
        self.send('{"messageType":"note","businessKey1":"a\\u0000b"}', message_id="m")
        self.wait_equal("an outcome", lambda: [k.encode() for k in self.target.effects()]
                        + [letter["message_id"] for letter in self.target.dead()], [b"a\0b"])

    def test_routing_keys_at_the_limit(self):
        """docs/faults.md#f40: 255 bytes go out and come back; 256 cannot be, and are told of."""
        self.use_names("topic")
        longest = "k" * 255
        router = self.router({**RECORDER, "rules/b.lua": """
            local herald = require "herald"
            herald.route { type = "long", to = function(msg)
              return herald.topic("$topic", msg.business_key1)
            end }
            herald.subscribe { queue = "$topic", from = herald.topic("$topic", "#") }
            herald.on("long", "*", function(msg, tx)
              tx:exec("insert into effect (key1) values (?)", msg.routing_key)
            end)
            """}, name="long").start()
        router.emit("long", longest)
        router.emit("long", longest + "k")
        self.wait_equal("the key that fits", router.effects, [longest])
        self.wait_for("the other to be told of", lambda: [
            letter for letter in router.dead() if "255" in letter["error"]] or router.rows(
            "select 1 from herald_outbox where reason like '%255%'"))

    def test_all_field_types(self):
        """docs/faults.md#f41: every tag that brokers and clients use, in bytes of our own."""
        fields = [
            (b"t", (b"t", b"\1")), (b"b", (b"b", b"\xff")), (b"B", (b"B", b"\xff")),
            (b"s", (b"s", b"\xff\xfe")), (b"u", (b"u", b"\xff\xfe")),
            (b"I", (b"I", b"\xff\xff\xff\xfe")), (b"i", (b"i", b"\xff\xff\xff\xfe")),
            (b"l", (b"l", b"\x80" + b"\0" * 7)), (b"f", (b"f", struct.pack(">f", 1.5))),
            (b"d", (b"d", struct.pack(">d", 99.9))), (b"D", (b"D", b"\2\0\0\x27\x06")),
            (b"S", (b"S", b"\0\0\0\3abc")), (b"T", (b"T", struct.pack(">Q", 1769860800))),
            (b"V", (b"V", b"")), (b"x", (b"x", b"\0\0\0\2\0\xff")),
            (b"A", (b"A", b"\0\0\0\3" + b"t\1" + b"V")), (b"F", (b"F", table([(b"n", (b"V", b""))]))),
        ]
        for name, field in fields:
            self.send_raw(table([(name, field), (b"business-key-1", (b"S", b"\0\0\0\1" + name))]),
                          type="note", message_id="m-" + name.decode())
        self.wait_equal("an outcome of each", lambda: len(self.target.effects())
                        + self.target.value("select count(*) from herald_dead"), len(fields))
        self.assertEqual(self.target.dead(), [])
        self.assertEqual(sorted(self.target.effects()),
                         sorted(name.decode() for name, _ in fields))

    def test_many_and_large_headers(self):
        """docs/faults.md#f41: a table of 100 KB in one frame harms nobody."""
        many = table([(b"h%05d" % n, (b"S", b"\0\0\0\7value-x")) for n in range(5000)])
        one = table([(b"big", (b"S", struct.pack(">I", 100000) + b"x" * 100000))])
        self.send('{"messageType":"note","businessKey1":"before"}')
        for headers in (many, one):
            self.send_raw(headers, type="note")
        self.send('{"messageType":"note","businessKey1":"after"}')
        self.wait_equal("an outcome of each", lambda: len(self.target.rows(
            "select 1 from effect")) + len(self.target.dead()), 4)
        self.assertEqual([k for k in self.target.effects() if k], ["before", "after"])
        self.wait_settled(self.target)

    def test_deepest_headers(self):
        """docs/faults.md#f41: tables in tables until the frame is full (18,000 levels)."""
        depth = 18000
        raw = struct.pack(">I", depth * 7) + b"".join(
            b"\1aF" + struct.pack(">I", (depth - n - 1) * 7) for n in range(depth))
        self.send('{"messageType":"note","businessKey1":"before"}')
        self.send_raw(raw, type="note", message_id="deep")
        self.send('{"messageType":"note","businessKey1":"after"}')
        letter = self.wait_dead(self.target, 1)[0]
        self.assertEqual(letter["message_id"], "deep")
        self.assert_words(letter["error"], "header", "deep|nest")
        self.wait_equal("its neighbours", self.target.effects, ["before", "after"])
        self.assertEqual(json.loads(self.target.run("dead", "list", "--json").out), [letter])
