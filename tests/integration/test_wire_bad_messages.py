"""Messages that nobody can handle: dead letters with their reason, and no harm to others."""

import base64
import json
import os

import rabbit
from harness import Case, World, disturbs

MIB = 1 << 20
GOOD = '{"messageType":"note","businessKey1":"%s"}'


class BadMessages(Case):
    def setUp(self):
        super().setUp()
        self.target = self.router().start()
        self.client = self.peer()

    def send(self, body, **properties):
        self.client.send(self.names["exchange"], body, **properties)

    def bury(self, body, *words, **properties):
        """Sends it between two good ones. Returns its dead letter."""
        self.send(GOOD % "before")
        self.send(body, **properties)
        self.send(GOOD % "after")
        letter = self.wait_dead(self.target, 1)[0]
        self.assert_words(letter["error"], *words)
        self.assertEqual((letter["queue"], letter["attempts"]), (self.names["queue"], 1))
        self.assertRegex(letter["at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.wait_equal("its neighbours", self.target.effects, ["before", "after"])
        self.wait_settled(self.target)
        self.assertEqual(self.target.counter("dead"), 1)
        self.assertEqual(self.target.json("dead", "show", str(letter["id"])), letter)
        return letter

    def test_no_json(self):
        said = {"message_id": "m1", "type": "note", "content_type": "application/json"}
        letter = self.bury("not json", "JSON", **said)
        self.assertEqual((letter["body"], letter["message_id"]), ("not json", "m1"))
        self.send("not json", **said)
        self.wait_equal("the same again to be known",
                        lambda: self.target.counter("duplicates"), 1)
        self.assertEqual(len(self.target.dead()), 1)

    def test_empty_body(self):
        """docs/faults.md#f40"""
        self.assertIn(self.bury("", "JSON|empty", type="note", content_type="application/json")["body"], ("", None))

    def test_not_utf8(self):
        """docs/faults.md#f40"""
        body = b'{"messageType":"note","businessKey1":"\xff\xfe\x00"}'
        letter = self.bury(body, "UTF-8")
        self.assertNotIn("body", letter)
        self.assertEqual(base64.b64decode(letter["body_base64"]), body)
        text = self.target.run("dead", "show", str(letter["id"])).out
        self.assertIn("base64", text)

    def test_text_that_is_not_utf8(self):
        """docs/faults.md#f40"""
        letter = self.bury(b"\xffplain", "no message type", content_type="text/plain")
        self.assertEqual(base64.b64decode(letter["body_base64"]), b"\xffplain")

    def test_no_type(self):
        letter = self.bury('{"businessKey1":"16"}', "no message type", "messageType")
        self.assertEqual((letter["type"], letter["body"]), (None, '{"businessKey1":"16"}'))

    def test_type_that_is_no_text(self):
        self.bury('{"messageType":["note"]}', "messageType")

    def test_key_that_is_a_fraction(self):
        self.bury('{"messageType":"note","businessKey1":1.5}', "businessKey1")

    def test_same_key_twice(self):
        self.bury('{"messageType":"note","messageType":"other"}', "messageType|twice|duplicate")

    def test_cut_off(self):
        self.bury('{"messageType":"note","businessKey1":"16"', "JSON")

    def test_more_behind_the_end(self):
        self.bury(GOOD % "a" + GOOD % "b", "JSON")

    def test_nested_absurdly(self):
        self.bury('{"messageType":"note","x":' + "[" * 100000 + "]" * 100000 + "}", "deep|nest")

    def test_nul_bytes(self):
        """docs/faults.md#f40"""
        letter = self.bury(b'{"messageType":"note"}\x00\x00', "JSON")
        self.assertEqual(letter["body"], '{"messageType":"note"}\0\0')

    @disturbs
    def test_17_mib(self):
        """docs/faults.md#f40: over the limit; it is kept whole, and no rule is asked about it.
        RabbitMQ 4 takes 16 MiB unless it is told otherwise."""
        before = World.node.limit_messages(128 * MIB)
        self.addCleanup(World.node.limit_messages, before)
        body = os.urandom(17 * MIB)
        letter = self.bury(body, "over the limit", str(17 * MIB), "message_max", message_id="huge",
                           type="note", headers={"business-key-1": "16"})
        self.assertEqual((letter["message_id"], letter["type"], letter["business_key1"]),
                         ("huge", "note", "16"))
        self.assertEqual(base64.b64decode(letter["body_base64"]), body)
        said = self.target.run("dead", "replay", "--all").out
        self.assert_words(said, "1 left: over 16 MiB")
        self.assertEqual(self.target.dead()[0]["id"], letter["id"])

    def test_message_max(self):
        """What is over it is kept whole, too."""
        self.target.stop()
        self.target.write("herald.lua", 'return { message_max = "1MiB" }')
        self.target.start()
        letter = self.bury(GOOD % ("x" * MIB), "over the limit", "message_max")
        self.assertEqual(letter["body"], GOOD % ("x" * MIB))

    def test_thousands_of_headers(self):
        """The message is handled; nothing of it is lost where it is not."""
        headers = {f"h{n}": n for n in range(3000)}
        self.send("{}", type="note", headers={**headers, "business-key-1": "many"})
        self.send("{", type="note", headers={**headers, "business-key-1": "16"})
        letter = self.wait_dead(self.target, 1)[0]
        self.wait_equal("the good one", self.target.effects, ["many"])
        self.assertEqual((json.loads(letter["headers"]), letter["business_key1"]), (headers, "16"))

    def test_headers_nested_too_deeply(self):
        """docs/faults.md#f41: a letter with its keys and its headers; the depths are bytes."""
        deep = {"end": 1}
        for _ in range(200):
            deep = {"a": deep}
        letter = self.bury(GOOD % "16", "nested deeper", message_id="deep",
                           headers={"deep": deep, "other": 7, "business-key-2": "60201"})
        self.assertEqual(letter["business_key2"], "60201")
        self.assertEqual(json.loads(letter["headers"])["other"], 7)
        self.assertIn("a", json.loads(letter["headers"])["deep"])

    def test_all_properties_are_kept(self):
        """Through retry, letter, replay and show."""
        properties = {"correlation_id": "c-1", "reply_to": "answers", "content_encoding": "identity",
                      "priority": 7, "expiration": "600000", "app_id": "shop", "user_id": rabbit.USER}
        self.target.write("rules/b.lua", """
local herald = require "herald"
herald.on("fails", "*", function() error("no") end, { retry = { attempts = 2, delay = "10ms" } })
""")
        self.target.run("reload")
        self.send('{"a":1}', type="fails", message_id="p1", content_type="application/json",
                  timestamp=1700000000, headers={"bytes": b"\xff\x00"}, **properties)
        for _ in range(2):
            letter = self.wait_dead(self.target, 1)[0]
            self.assertEqual(json.loads(letter["properties"]), properties)
            self.assertEqual((letter["content_type"], letter["timestamp"]),
                             ("application/json", 1700000000))
            self.assertEqual(json.loads(letter["headers"]), {"bytes": {"base64": "/wA="}})
            shown = self.target.run("dead", "show", str(letter["id"])).out
            self.assert_words(shown, "content type +application/json", "2023-11-14T22:13:20Z",
                              "correlation_id", "answers", "identity", "600000", "shop", rabbit.USER)
            self.target.run("dead", "replay", str(letter["id"]))

    def test_16_mib(self):
        """docs/faults.md#f40: the largest that fits is handled."""
        start, end = '{"messageType":"note","businessKey1":"big","x":"', '"}'
        self.send(start + "y" * (16 * MIB - len(start) - len(end)) + end)
        self.wait_equal("the effect", lambda: self.target.rows(
            "select key1, length(raw) from effect"), [("big", 16 * MIB)])

    def test_many_at_once(self):
        """All of them bad, but a few: none spins, none is lost."""
        for number in range(300):
            self.send("{x" if number % 3 else GOOD % number, type="note", message_id=f"m{number}")
        self.wait_dead(self.target, 200)
        self.wait_equal("the good ones", self.target.effects,
                        [str(n) for n in range(0, 300, 3)])
        self.wait_settled(self.target)
        self.wait_resting(self.target)
        page = self.target.json("dead", "list", "--limit", "7", "--after", "3")
        self.assertEqual([letter["id"] for letter in page], list(range(4, 11)))


class BadRows(Case):
    """The same on the way out: rows of the outbox that cannot be published."""

    def test_type_without_route(self):
        router = self.router(broker="embedded").start()
        for type_ in ("note", "unheard", "note"):
            router.emit(type_, "16", "60201")
        letter = self.wait_dead(router, 1)[0]
        self.assert_words(letter["error"], "no route", "unheard", "herald.route")
        self.assertEqual((letter["side"], letter["queue"], letter["type"], letter["order_type"],
                          letter["business_key1"]), ("outbox", None, "unheard", "60201", "16"))
        self.wait_equal("its neighbours", router.effects, ["16", "16"])
        self.wait_drained(router)
        self.assertEqual(router.counter("parked"), 1)

    def test_rows_that_fit_into_no_message(self):
        """docs/faults.md#f40: a key of 256 bytes fits, an id does not; headers must be an
        object."""
        router = self.router().start()
        router.sql(f"""
            begin immediate;
            insert into herald_outbox (type, business_key1) values ('note', 'before');
            insert into herald_outbox (type, headers) values ('note', 'no json');
            insert into herald_outbox (type, headers) values ('note', '[1]');
            insert into herald_outbox (type, message_id) values ('note', '{"i" * 256}');
            insert into herald_outbox (type, business_key1) values ('note', '{"k" * 256}');
            commit;""")
        letters = self.wait_dead(router, 3)
        for letter, words in zip(letters, ("header", "header", "message.?id|255")):
            self.assert_words(letter["error"], words)
            self.assertEqual(letter["side"], "outbox")
        self.wait_equal("the good ones", router.effects, ["before", "k" * 256])
        self.wait_drained(router)

    def test_row_that_is_too_large(self):
        """docs/faults.md#f40: whoever inserts it is told at once."""
        router = self.router().start()
        # The shell of SQLite 3.53 goes on with what stands behind an error in the same line.
        said = router.sql("begin; insert into herald_outbox (type) values ('note');\n"
                          f"insert into herald_outbox (type, body) values ('note', "
                          f"zeroblob({17 * MIB}));\ncommit;", code=1)
        self.assert_words(said, "CHECK constraint failed")
        self.assertEqual(router.value("select count(*) from herald_outbox"), 0)

    def test_bad_json_of_a_program(self):
        """A body goes out as it is, whatever it is; the consumer's side says what is wrong."""
        router = self.router().start()
        router.sql("insert into herald_outbox (type, body) values ('note', '{bad');")
        letter = self.wait_dead(router, 1)[0]
        self.assertEqual((letter["side"], letter["body"]), ("inbox", "{bad"))
        self.assertEqual(json.loads(router.run("dead", "list", "--json").out)[0], letter)
