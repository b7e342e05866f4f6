"""Messages exactly as other producers send them, handled with one word (producers.py)."""

import json
import time

import producers
from harness import Case

ENVELOPES = sorted({row[1] for row in producers.ROWS})
SEEN = """create table seen (queue text, type text, id text, body text, bytes integer);
"""
RULES = """local herald = require "herald"
local function see(msg, tx)
  local body = msg.body
  if body ~= nil and body ~= msg.raw then body = herald.json.encode(body) end
  tx:exec("insert into seen values (?, ?, ?, ?, ?)", msg.queue, msg.type, msg.id, body,
    #(msg.raw or ""))
end
"""
SUBSCRIPTION = """herald.subscribe { queue = "$%(name)s_queue", from = herald.fanout "$%(name)s_exchange",
  envelope = "%(envelope)s" }
herald.on("*", "*", see, { queue = "$%(name)s_queue" })
"""


def name_of(envelope):
    return envelope.replace("-", "_")


class Producers(Case):
    def setUp(self):
        super().setUp()
        names = [name_of(e) for e in ENVELOPES]
        self.use_names(*[f"{n}_{what}" for n in names for what in ("queue", "exchange")])
        rules = RULES + "".join(SUBSCRIPTION % {"name": name_of(e), "envelope": e}
                                for e in ENVELOPES)
        self.target = self.router({"migrations/001_effect.sql": SEEN, "rules/a.lua": rules}).start()
        self.client = self.peer()

    def send(self, envelope, where, body, **properties):
        name = name_of(envelope)
        if where == "fanout":
            self.client.send(self.names[name + "_exchange"], body, **properties)
        else:
            self.client.send("", body, self.names[name + "_queue"], **properties)

    def seen(self):
        return self.target.rows("select type, id, body, bytes from seen")

    def letters(self):
        return self.target.column("select error from herald_dead order by id")

    def expected(self, row):
        _, envelope, _, _, body, (type_, id_, value) = row
        name = name_of(envelope)
        type_ = {"QUEUE": self.names[name + "_queue"],
                 "EXCHANGE": self.names[name + "_exchange"]}.get(type_, type_)
        size = len(body.encode() if isinstance(body, str) else body)
        return type_, id_, value, size

    def check_seen(self, row, got):
        type_, id_, value, size = self.expected(row)
        self.assertEqual((got[0], got[1], got[3]), (type_, id_, size), row[0])
        if value not in ("RAW", "BYTES", "EMPTY"):
            self.assertEqual(json.loads(got[2]) if got[2] is not None else None, value, row[0])

    def test_each_is_handled_or_refused_with_words(self):
        for row in producers.ROWS:
            handled, refused = len(self.seen()), len(self.letters())
            self.send(row[1], row[2], row[4], **row[3])
            self.wait_equal(row[0], lambda: len(self.seen()) + len(self.letters()),
                            handled + refused + 1)
            if isinstance(row[5], str):
                self.assertIn(row[5], self.letters()[-1])
            else:
                self.assertEqual(len(self.letters()), refused,
                                 [row[0], self.letters()])
                self.check_seen(row, self.seen()[-1])

    def test_a_task_waits_for_its_eta_and_expires(self):
        """As a worker of Celery would have it."""
        head = {**producers.CELERY, "id": "later"}
        head["eta"] = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 3))
        self.send("celery", "queue", producers.CELERY_BODY, headers=head,
                  content_type="application/json")
        self.wait_equal("it to wait", lambda: self.target.rows(
            "select attempts, error from herald_retry"),
            [(0, "postponed: its sender wants it handled no earlier")])
        self.assertEqual(self.seen(), [])
        self.wait_equal("its time", lambda: [row[1] for row in self.seen()], ["later"])
        head = {**producers.CELERY, "id": "past", "expires": "2026-11-29T12:00:00.5+00:00"}
        self.send("celery", "queue", producers.CELERY_BODY, headers=head,
                  content_type="application/json")
        letter = self.wait_dead(self.target, 1)[0]
        self.assert_words(letter["error"], "^expired: .*2026-11-29T12:00:00")
        self.assertEqual((letter["type"], letter["message_id"]), ("shop.paid", "past"))
