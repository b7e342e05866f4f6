"""docs/wire.md is the contract: its examples are played, byte for byte, both ways.

A block ```wire has a line of Lua, and then what goes in and what comes out, each behind a word; a
line that begins with a blank goes on with the one above it:

  rule     herald.subscribe { envelope = "..." }; the queue is the test's
  comes    the properties of a message, its headers and its routing key among them
  body     its bytes; `base64`: the same where they are no text
  handler  what a handler has: type, id, keys, timestamp, body, and whatever else is named
  dead     or the words of its dead letter

  rule     herald.route { format = "..." }; type and queue are the test's
  row      of the outbox; its body as JSON, or a text
  sends    the properties of what goes out, all but its timestamp, and its headers
  body     its bytes
  dead     or the words of its dead letter

  rule     herald.subscribe { ... }
  comes    a request
  body     its bytes
  reply    what its handler calls tx:reply with
  sends    the properties of the answer
  body     its bytes

A store, STORE in the examples, and its rows have names of their own in each run.
"""

import base64
import json
import os
import re

from harness import ROOT, Case

PAPER = os.path.join(ROOT, "docs", "wire.md")
FENCED = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
KINDS = {("comes", "body", "handler"): "reads", ("comes", "base64", "handler"): "reads",
         ("comes", "body", "dead"): "reads",
         ("comes", "base64", "dead"): "reads", ("row", "sends", "body"): "sends",
         ("row", "dead"): "sends", ("comes", "body", "reply", "sends", "body"): "answers"}
ALWAYS = ("type", "id", "business_key1", "business_key2", "business_key3", "timestamp", "body")
OTHERS = ("headers", "content_type", "content_encoding", "correlation_id", "reply_to",
          "expiration", "app_id", "priority", "order_type")
PROPERTIES = ("content_type", "content_encoding", "delivery_mode", "priority", "correlation_id",
              "reply_to", "expiration", "message_id", "type", "user_id", "app_id", "cluster_id")
STORE = "5blc93g0bzjh"

HEAD = """local herald = require "herald"
local function see(msg, tx)
  local seen = {}
  for _, name in ipairs { %s } do seen[name] = msg[name] end
  tx:exec("insert into seen values (?, ?)", msg.queue, herald.json.encode(seen))
end
""" % ", ".join(f'"{name}"' for name in ALWAYS + OTHERS)
SEEN = "create table seen (queue text, message text);\n"


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


class Example:
    def __init__(self, number, text):
        self.text = text
        self.queue = f"queue{number}"
        self.exchange = f"exchange{number}"
        self.parts = []
        for line in text.splitlines():
            if line.startswith(" "):
                self.parts[-1][1] += " " + line.strip()
            else:
                self.parts.append(re.fullmatch(r"(\w+) *(.*)", line).groups())
                self.parts[-1] = list(self.parts[-1])
        words = tuple(word for word, _ in self.parts)
        self.kind = KINDS.get(words[1:]) if words[:1] == ("rule",) else None
        found = re.fullmatch(r"herald\.(subscribe|route) \{(.*)\}", self.get("rule"))
        self.options = found and found[2].strip()
        self.is_ours = found is not None and (found[1] == "route") == (self.kind == "sends")

    def get(self, word, which=0):
        return [text for name, text in self.parts if name == word][which]

    def has(self, word):
        return any(name == word for name, _ in self.parts)

    def json(self, word):
        return json.loads(self.get(word))

    def option(self, name):
        """Of a rule that says it; herald's own otherwise."""
        found = re.search(name + r' = "([^"]+)"', self.options)
        return found[1] if found else "auto"

    def body(self):
        return base64.b64decode(self.get("base64")) if self.has("base64") else self.get("body").encode()

    def rules(self):
        more = f", {self.options}" if self.options else ""
        if self.kind == "sends":
            return (f'herald.route {{ type = {json.dumps(self.json("row")["type"])}, '
                    f'to = herald.queue "${self.queue}"{more} }}\n')
        subscribed = (f'herald.subscribe {{ queue = "${self.queue}", '
                      f'from = herald.topic("${self.exchange}", "#"), retry = {{ attempts = 1 }}{more} }}\n')
        handler = f'function(_, tx) tx:reply({self.get("reply")}) end' if self.has("reply") else "see"
        return subscribed + f'herald.on("*", "*", {handler}, {{ queue = "${self.queue}" }})\n'


EXAMPLES = [Example(number, text) for number, (_, kind, text) in enumerate(FENCED.findall(read(PAPER)))
            if kind == "wire"]


class Contract(Case):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.client = self.peer()

    def start(self, examples):
        self.use_names(*[name for e in examples for name in (e.queue, e.exchange)])
        for example in examples:
            if example.kind == "sends":
                self.client.channel.queue_declare(self.names[example.queue], durable=True)
        return self.router({"migrations/001.sql": SEEN,
                            "rules/a.lua": HEAD + "".join(e.rules() for e in examples)}).start()

    def examples(self, kind):
        return [example for example in EXAMPLES if example.kind == kind]

    def send(self, example):
        properties = example.json("comes")
        key = properties.pop("routing_key", "")
        properties.setdefault("delivery_mode", 1)
        self.client.send(self.names[example.exchange], example.body(), key, **properties)

    def check_sent(self, example, queue):
        """Whatever is not told is not sent. A made id is the store's and the row's."""
        properties, body = self.client.get(queue)
        sent = {name: getattr(properties, name) for name in PROPERTIES}
        sent = {name: value for name, value in sent.items() if value is not None}
        if properties.headers:
            sent["headers"] = properties.headers
        body = body.decode()
        made = re.fullmatch(r"[0-9a-z]{12}:(\d+)", sent["message_id"])
        if made:
            sent["message_id"] = f"{STORE}:1"
            body = body.replace(f'"id":{made[1]}', '"id":1').replace(made[0], sent["message_id"])
        self.assertEqual((sent, body), (example.json("sends"), example.get("body", -1)), example.text)
        self.assertIsInstance(properties.timestamp, int)

    # --- the tests ---

    def test_every_block_is_an_example_that_is_played(self):
        """But for commands, which test_broker_delivery_limit has."""
        paper = read(PAPER)
        for _, kind, text in FENCED.findall(paper):
            self.assertIn(kind, ("wire", "sh"), text)
        self.assertEqual(paper.count("```"), 2 * len(FENCED.findall(paper)))
        self.assertIsNone(re.search(r"\n\n    \S", FENCED.sub("", paper)), "a block without a fence")
        for example in EXAMPLES:
            self.assertIsNotNone(example.kind, example.text)
            self.assertTrue(example.is_ours, example.text)

    def test_every_envelope_and_format_has_one(self):
        named = re.findall(r'^(?:function M\.|M\[")([a-z-]+)', read("scripts/herald/envelopes.lua"),
                           re.MULTILINE)
        self.assertGreater(len(named), 9)
        handled = [e for e in self.examples("reads") if e.has("handler")]
        self.assertEqual({"auto", "raw", *named}, {e.option("envelope") for e in handled})
        formats = re.search(r"local FORMATS = \{(.*?)\}", read("scripts/herald/rules.lua"))[1]
        sent = [e for e in self.examples("sends") if e.has("sends")]
        self.assertEqual({"auto", *re.findall(r'"(\w+)"', formats)}, {e.option("format") for e in sent})

    def test_what_is_read(self):
        examples = self.examples("reads")
        target = self.start(examples)
        for example in examples:
            self.send(example)
        handled = sum(example.has("handler") for example in examples)
        self.wait_equal("all to be read", lambda: (
            target.value("select count(*) from seen"), target.value("select count(*) from herald_dead")),
            (handled, len(examples) - handled))
        for example in examples:
            queue = self.names[example.queue]
            if example.has("dead"):
                self.assertIn(example.get("dead"), target.value(
                    "select error from herald_dead where queue = ?", queue), example.text)
                continue
            seen = json.loads(target.value("select message from seen where queue = ?", queue))
            wanted = example.json("handler")
            seen = {name: value for name, value in seen.items() if name in ALWAYS or name in wanted}
            self.assertEqual(seen, wanted, example.text)

    def test_what_is_sent(self):
        examples = self.examples("sends")
        types = [example.json("row")["type"] for example in examples]
        self.assertEqual(sorted(set(types)), sorted(types), "one route for a type: use another one")
        target = self.start(examples)
        for row, example in enumerate(examples, 1):
            self.insert(target, row, example.json("row"))
        for row, example in enumerate(examples, 1):
            if example.has("sends"):
                self.check_sent(example, self.names[example.queue])
                continue
            letters = self.wait_for("a dead letter", lambda: target.column(
                "select error from herald_dead where type = ?", types[row - 1]))
            self.assertIn(example.get("dead"), letters[0], example.text)
        self.wait_drained(target)

    def insert(self, target, number, row):
        """As some other program does."""
        values = {"id": number}
        for name, value in row.items():
            values[name] = value if isinstance(value, (str, int)) else json.dumps(
                value, separators=(",", ":"), ensure_ascii=False)
        quoted = ["'" + v.replace("'", "''") + "'" if isinstance(v, str) else str(v)
                  for v in values.values()]
        target.sql(f"insert into herald_outbox ({', '.join(values)}) values ({', '.join(quoted)});")

    def test_what_is_answered(self):
        examples = self.examples("answers")
        self.assertTrue(examples)
        target = self.start(examples)
        for example in examples:
            queue = example.json("comes")["reply_to"]
            self.client.channel.queue_declare(queue, exclusive=True)  # goes with the connection
            self.send(example)
            self.check_sent(example, queue)
        self.wait_drained(target)
