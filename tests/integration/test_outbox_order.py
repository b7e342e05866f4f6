"""order_by on routes: the order of each key at the consumer, whatever is refused in between."""

import random
import time

from harness import Case, World

RULES = """
    herald.route { type = "step", to = herald.fanout "$steps", order_by = "business_key1" }
    herald.route { type = "free", to = herald.fanout "$steps" }
    """
FAST = "return { publish_retry = { delay = '100ms', max_delay = '300ms' } }\n"


class Order(Case):
    def begin(self, rules=RULES, limits=None):
        """A router, and a queue of somebody else's behind the exchange."""
        self.use_names("steps", "taker", "missing")
        self.taker = self.peer()
        channel = self.taker.channel
        channel.exchange_declare(self.names["steps"], "fanout", durable=True)
        channel.queue_declare(self.names["taker"], durable=True, arguments=limits)
        channel.queue_bind(self.names["taker"], self.names["steps"], "")
        self.taken = {}
        self.ids = set()
        router = self.recorder(rules)
        router.write("herald.lua", FAST)
        return router.start()

    def add(self, router, rows):
        """Rows of (type, key) in one transaction; the body says which of its key it is."""
        said = []
        for kind, key in rows:
            self.total[key] = self.total.get(key, 0) + 1
            said.append("insert into herald_outbox (type, business_key1, body) values "
                        f"('{kind}', '{key}', '{self.total[key]}');")
        router.sql("begin immediate;" + "".join(said) + "commit;")

    def setUp(self):
        super().setUp()
        self.total = {}

    def take(self):
        """Takes one message; a second delivery of an id is the consumer's to absorb."""
        properties, body = self.taker.get(self.names["taker"])
        if properties.message_id not in self.ids:
            self.ids.add(properties.message_id)
            self.taken.setdefault(properties.headers["business-key-1"], []).append(int(body))

    def take_until(self, key, count):
        while len(self.taken.get(key, [])) < count:
            self.take()

    def check_order(self, *keys):
        for key in keys:
            self.assertEqual(self.taken[key], list(range(1, self.total[key] + 1)), key)

    def test_nacked_rows_are_not_overtaken(self):
        """docs/faults.md#f18: a queue of one place refuses most of what comes, in the middle of two
        lanes."""
        router = self.begin(limits={"x-max-length": 1, "x-overflow": "reject-publish"})
        self.add(router, [("step", ("a", "b")[n % 2]) for n in range(40)])
        for key in "ab":
            self.take_until(key, 20)
        self.wait_drained(router)
        self.check_order("a", "b")
        self.assertGreater(router.counter("nacked"), 0)
        self.assertEqual(router.dead(), [])

    def test_others_do_not_wait(self):
        """A lane whose first row no queue takes holds up neither another lane nor the free."""
        self.use_names("topic")
        router = self.begin("""
            herald.route { type = "step", order_by = "business_key1", to = function(msg)
              return herald.topic("$topic", msg.business_key1) end }
            herald.route { type = "free", to = herald.topic("$topic", "free") }
            """)
        channel = self.taker.channel
        channel.exchange_declare(self.names["topic"], "topic", durable=True)
        for key in ("b", "free"):
            channel.queue_bind(self.names["taker"], self.names["topic"], key)
        self.add(router, [("step", "a"), ("step", "a"), ("step", "b"), ("free", "x")] * 50)
        self.take_until("b", 50)
        self.take_until("x", 50)
        self.check_order("b")
        self.wait_equal("lane a to be left alone", lambda: router.value(
            "select count(*) from herald_outbox"), 100)
        lanes = router.json("lanes", "list")
        self.assertEqual([(l["head"], l["lane"], l["waiting"]) for l in lanes],
                         [("outbox", "business_key1=a", 99)])
        listed = router.json("outbox", "list", "--lane", "business_key1=a", "--limit", "1000")
        self.assertEqual([r["state"] for r in listed].count("behind"), 99)
        channel.queue_bind(self.names["taker"], self.names["topic"], "a")
        self.take_until("a", 100)
        self.check_order("a")
        self.wait_drained(router)

    def test_order_outlives_kills(self):
        """docs/faults.md#f1: SIGKILL again and again while a full queue refuses rows."""
        router = self.begin(limits={"x-max-length": 3, "x-overflow": "reject-publish"})
        keys = "abcd"
        self.add(router, [("step", keys[n % 4]) for n in range(80)])
        for turn in range(5):
            until = time.monotonic() + random.uniform(0.05, 0.4)
            while time.monotonic() < until and len(self.ids) < 16 * (turn + 1):
                self.take()
            router.kill()
            router.start()
        for key in keys:
            self.take_until(key, 20)
        self.wait_drained(router)
        self.check_order(*keys)

    def test_reload_takes_the_order_away_while_rows_wait(self):
        router = self.begin(limits={"x-max-length": 1, "x-overflow": "reject-publish"})
        self.add(router, [("step", "a") for _ in range(10)])
        self.wait_for("rows to wait", lambda: router.counter("nacked") > 0)
        router.write("rules/b.lua", 'local herald = require "herald"\n'
                     + RULES.replace(', order_by = "business_key1"', ""))
        router.run("reload")
        self.take_until("a", 10)  # they keep their lane
        self.wait_drained(router)
        self.check_order("a")
        router.write("rules/b.lua", 'local herald = require "herald"\n'
                     + RULES.replace("business_key1", "business_key2"))
        router.run("reload")
        self.add(router, [("step", "a") for _ in range(3)])
        self.take_until("a", 13)
        self.wait_drained(router)

    def test_dropped_head_lets_its_lane_go(self):
        router = self.begin("""
            herald.route { type = "step", to = herald.queue "$missing", order_by = "business_key1" }
            herald.route { type = "free", to = herald.fanout "$steps", order_by = "business_key1" }
            """)
        self.add(router, [("step", "a"), ("free", "a")])
        self.wait_for("it to be returned", lambda: router.counter("returned") > 0)
        self.assertEqual(World.node.depth(self.names["taker"]), 0)
        router.run("outbox", "drop", "1")
        self.take_until("a", 1)
        self.wait_drained(router)

    def test_embedded_broker(self):
        """The same on the embedded broker: no queue is there for a lane, and comes with a reload."""
        lonely = 'herald.fanout "lonely"'
        rules = f"""local herald = require "herald"
            herald.route {{ type = "step", to = {lonely}, order_by = "business_key1" }}
            """
        router = self.recorder(broker=None)
        router.write("rules/b.lua", rules)
        router.write("herald.lua", FAST)
        router.start()
        router.sql("begin immediate;" + "".join(
            f"insert into herald_outbox (type, business_key1, business_key2) values ({row});"
            for row in ("'step', 'a', 1", "'step', 'a', 2", "'step', 'b', 1", "'note', 'a', 0"))
            + "commit;")
        self.wait_for("both lanes to be refused", lambda: router.value(
            "select count(*) from herald_outbox where attempts > 0") == 2)
        self.wait_equal("the unordered one", router.effects, ["a"])
        router.kill()  # and it waits on
        router.start()
        self.assertEqual([(r["business_key2"], r["state"]) for r in router.json(
            "outbox", "list", "--lane", "business_key1=a")][1], ("2", "behind"))
        router.write("rules/b.lua", rules + f"""
            herald.subscribe {{ queue = "lonely", from = {lonely} }}
            herald.on("step", "*", function(msg, tx)
              tx:exec("insert into effect (key1, key2) values (?, ?)", msg.business_key1,
                msg.business_key2)
            end)
            """)
        router.run("reload")
        self.wait_drained(router)
        self.wait_equal("all steps", lambda: router.column(
            "select key2 from effect where queue is null and key1 = 'a' order by id"), ["1", "2"])
