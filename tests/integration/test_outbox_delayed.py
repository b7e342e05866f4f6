"""Delayed, scheduled, replaced and cancelled messages: the same on RabbitMQ and on the embedded
broker, across restarts, and where a row is replaced while nobody knows whether it was sent."""

import sqlite3
import time

from harness import Case, World

# An order that is placed is closed later, unless it is paid before.
RULES = """
for _, type in ipairs { "placed", "scheduled", "paid", "close" } do
  herald.route { type = type, to = herald.fanout "$exchange" }
end
local function close(msg, tx, when)
  when.type, when.key = "close", "close-" .. msg.business_key1
  when.business_key1, when.business_key2 = msg.business_key1, msg.business_key2
  tx:emit(when)
end
herald.on("placed", "*", function(msg, tx) close(msg, tx, { delay = msg.business_key3 }) end)
herald.on("scheduled", "*", function(msg, tx)
  close(msg, tx, { at = math.tointeger(msg.business_key3) or msg.business_key3 })
end)
local function record(msg, tx, what)
  tx:exec("insert into effect (type, key1, key2, key3) values (?, ?, ?, ?)", msg.type,
    msg.business_key1, msg.business_key2, what)
end
herald.on("paid", "*", function(msg, tx)
  record(msg, tx, tostring(tx:cancel("close-" .. msg.business_key1)))
end)
herald.on("close", "*", function(msg, tx) record(msg, tx, tostring(herald.now())) end)
"""


def now_ms():
    return int(time.time() * 1000)


def insert(router, *rows):
    """As another program would; a row is (key1, due_at, key)."""
    store = sqlite3.connect(router.store, timeout=5, isolation_level=None)
    try:
        store.execute("pragma synchronous = full")
        store.execute("pragma wal_autocheckpoint = 0")
        store.execute("begin immediate")
        store.executemany("insert into herald_outbox (type, business_key1, due_at, key) "
                          "values ('close', ?, ?, ?)", rows)
        store.execute("commit")
    finally:
        store.close()


class Delayed:
    """On either broker; the two classes below choose."""

    def begin(self):
        return self.recorder(RULES, broker=self.broker).start()

    def closed(self, router):
        return sorted(router.rows("select key1, key2 from effect where type = 'close'"))

    def waiting(self, router):
        return router.column("select key from herald_outbox where due_at > 0 order by key")

    def settle(self, router):
        self.wait_drained(router)
        self.assertEqual(router.dead(), [])
        self.assertEqual(router.status()["retries"], 0)

    def assert_not_before(self, router, due):
        came = int(router.value("select key3 from effect where type = 'close'"))
        self.assertGreaterEqual(came, due)

    def test_delayed_by_a_handler(self):
        router = self.begin()
        began = now_ms()
        router.emit("placed", "16", "first", "1s")
        self.wait_equal("the order to be closed", lambda: self.closed(router), [("16", "first")])
        self.assert_not_before(router, began + 1000)
        self.settle(router)

    def test_scheduled_by_a_handler(self):
        router = self.begin()
        due = now_ms() + 1500
        router.emit("scheduled", "16", "in ms", str(due))
        self.wait_equal("the order to be closed", lambda: self.closed(router), [("16", "in ms")])
        self.assert_not_before(router, due)
        router.emit("scheduled", "17", "past", "2001-01-31T12:00:00Z")
        router.emit("scheduled", "18", "far", "2099-01-31T12:00:00Z")
        self.wait_equal("the past one to come at once", lambda: self.closed(router),
                        [("16", "in ms"), ("17", "past")])
        self.wait_equal("the other to wait", lambda: self.waiting(router), ["close-18"])

    def test_replaced_before_it_is_due(self):
        router = self.begin()
        router.emit("placed", "16", "first", "1h")
        self.wait_equal("the first", lambda: router.value("select max(business_key2) from "
                                                          "herald_outbox where due_at > 0"), "first")
        router.emit("placed", "16", "second", "1s")
        self.wait_equal("the order to be closed", lambda: self.closed(router), [("16", "second")])
        self.settle(router)

    def test_replaced_by_the_command_line(self):
        router = self.begin()
        for key1, delay in (("first", "1h"), ("second", "1s")):
            router.run("emit", "--type", "close", "--key1", key1, "--delay", delay, "--key", "k")
        self.wait_equal("the second", lambda: self.closed(router), [("second", None)])
        self.settle(router)

    def test_cancelled_by_a_handler(self):
        router = self.begin()
        router.emit("placed", "16", "never", "1h")
        router.emit("placed", "17", "closed", "2s")
        self.wait_for("the first to wait", lambda: "close-16" in self.waiting(router))
        router.emit("paid", "16")
        router.emit("paid", "18")
        self.wait_equal("the answers", lambda: router.rows(
            "select key1, key3 from effect where type = 'paid' order by key1"),
            [("16", "true"), ("18", "nil")])
        self.wait_equal("the other", lambda: self.closed(router), [("17", "closed")])
        self.settle(router)

    def test_cancelled_by_the_command_line(self):
        router = self.begin()
        router.emit("placed", "16", "never", "1h")
        self.wait_equal("it to wait", lambda: self.waiting(router), ["close-16"])
        self.assertEqual(router.json("outbox", "cancel", "close-16"),
                         {"key": "close-16", "outcome": "cancelled"})
        self.settle(router)
        router.emit("paid", "16")
        self.wait_equal("the answer", lambda: router.column("select key3 from effect"), ["nil"])

    def test_inserted_by_another_program(self):
        router = self.begin()
        due = now_ms() + 1000
        insert(router, ("plain", due, None), ("replaced", due, "k"), ("kept", due, "k"),
               ("gone", due + 3600000, "g"), ("at once", 0, "o"))
        insert(router, ("again", due, "o"))  # the one before has been sent, or is replaced
        store = sqlite3.connect(router.store, timeout=5)
        for values in (("x", 0, ""), ("x", 0, "k" * 256), ("x", 0, b"k"), ("x", -1, "k"),
                       ("x", "tomorrow", "k"), ("x", 0.5, "k")):
            with self.assertRaises(sqlite3.IntegrityError, msg=values):
                store.execute("insert into herald_outbox (type, business_key1, due_at, key) "
                              "values ('close', ?, ?, ?)", values)
            store.rollback()
        store.execute("delete from herald_outbox where key = 'g'")
        store.commit()
        store.close()
        self.wait_equal("the later ones", lambda: [
            row for row in self.closed(router) if row[0] != "at once"],
            [("again", None), ("kept", None), ("plain", None)])
        self.settle(router)

    def test_restarts_while_rows_wait(self):
        router = self.begin()
        due = now_ms() + 3000
        insert(router, *((f"{n:02}", due, f"k{n}") for n in range(20)))
        router.emit("placed", "20", None, "3s")
        self.wait_for("all to wait, or to be due already",
                      lambda: len(self.waiting(router)) == 21 or self.closed(router))
        router.stop()
        router.start()
        router.kill()
        insert(router, ("late", due - 2990, None))  # due while no router runs
        router.start()
        self.wait_equal("each once", lambda: self.closed(router),
                        [(f"{n:02}", None) for n in range(21)] + [("late", None)])
        early = router.column("select key1 from effect where key1 <> 'late' and "
                              "cast(key3 as integer) < ?", due)
        self.assertEqual(early, [])
        self.settle(router)


class OnRabbit(Delayed, Case):
    broker = "rabbit"

    def test_replaced_while_its_confirm_is_under_way(self):
        """docs/design.md#keys-of-rows: the old row's confirm comes after the new row, and leaves it
        alone."""
        wire, url = self.proxy()
        router = self.recorder(RULES, broker=url).start()
        wire.answers.clear()
        insert(router, ("old", 0, "k"))
        self.wait_equal("the old one to be sent", lambda: router.counter("published"), 1)
        self.assertEqual(router.column("select business_key1 from herald_outbox"), ["old"])
        insert(router, ("later", now_ms() + 3600000, "k"))
        wire.answers.set()
        self.wait_equal("the confirm", lambda: router.counter("confirmed"), 1)
        self.assertEqual(router.column("select business_key1 from herald_outbox"), ["later"])
        insert(router, ("new", 0, "k"))
        self.wait_equal("both", lambda: self.closed(router), [("new", None), ("old", None)])
        self.settle(router)

    def send_unheard(self):
        """A router whose row is on the broker, and that does not hear so."""
        self.use_names("spy")
        relay, url = self.relay()
        relay.open()
        router = self.recorder(RULES, broker=url).start()
        self.open_way(router, "paid")
        self.peer().listen(self.names["spy"], self.names["exchange"])
        relay.mute()
        insert(router, ("old", 0, "k"))
        self.wait_equal("it on the broker", lambda: World.node.depth(self.names["spy"]), 1)
        return router, relay

    def test_replaced_while_nobody_knows_and_killed(self):
        """docs/design.md#keys-of-rows, docs/faults.md#f1: the old one is on the broker, its confirm
        never comes, and the router dies. Each takes effect once: nobody sends the old one again."""
        router, relay = self.send_unheard()
        insert(router, ("new", now_ms() + 1000, "k"))
        router.kill()
        relay.close()
        relay.open()
        router.start()
        self.wait_equal("both", lambda: self.closed(router), [("new", None), ("old", None)])
        self.settle(router)
        self.wait_equal("two messages", lambda: World.node.depth(self.names["spy"]), 2)

    def test_cancelled_while_nobody_knows(self):
        """The connection is lost with the confirm: what waits for its next try may have been
        sent, and the answer says so."""
        router, relay = self.send_unheard()
        relay.close()
        self.wait_equal("it to wait for the broker", lambda: router.value(
            "select count(*) from herald_outbox where first_sent_at is not null"), 1)
        said = router.run("outbox", "cancel", "k", "--json", code=1)
        self.assertEqual(said.out, '{"key":"k","outcome":"sent"}\n')
        relay.open()
        self.wait_equal("its effect", lambda: self.closed(router), [("old", None)])
        self.settle(router)
        self.assertEqual(World.node.depth(self.names["spy"]), 1)


class Embedded(Delayed, Case):
    broker = "embedded"
