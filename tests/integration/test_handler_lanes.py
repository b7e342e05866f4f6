"""Order per key: across retries, a kill -9 and a reload, on both brokers alike."""

import os
import signal

from harness import RECORD, Case, has_points

ORDERED = """
herald.route { type = "step", to = herald.direct("$exchange", "step") }
herald.subscribe {
  queue = "$ordered", from = herald.direct("$exchange", "step"),
  order_by = "business_key1"%s,
  retry = { attempts = %d, delay = "50ms", factor = 1, jitter = 0 },
}
herald.on("step", "*", function(msg, tx)
  if tx:value("select 1 from broken where key1 = ? and key3 = ?", msg.business_key1,
    msg.business_key3) then
    error("step " .. msg.business_key3 .. " is broken")
  end
  tx:exec("insert into effect (key1, key3) values (?, ?)", msg.business_key1, msg.business_key3)
end)
"""
TABLE = "create table broken (key1 text, key3 text);"
KEYS = ["16", "17", "18"]
STEPS = 30


class Lanes(Case):
    def ordered(self, broker, attempts=1000, on_dead=""):
        self.use_names("ordered")
        return self.router({
            "migrations/001_effect.sql": RECORD + TABLE,
            "rules/a.lua": 'local herald = require "herald"\n' + ORDERED % (on_dead, attempts),
        }, broker=broker).start()

    def send(self, router, steps=range(STEPS)):
        rows = [f"('step', '{key}', '{step}')" for step in steps for key in KEYS]
        router.sql("insert into herald_outbox (type, business_key1, business_key3) values "
                   + ", ".join(rows))

    def applied(self, router, key):
        return [int(step) for (step,) in router.rows(
            "select key3 from effect where key1 = ? order by id", key)]

    def check_way(self, broker):
        router = self.ordered(broker)
        router.sql("insert into broken values ('16', '3'), ('16', '7'), ('17', '5')")
        self.send(router)
        self.wait_equal("the lane without trouble", lambda: self.applied(router, "18"),
                        list(range(STEPS)))
        self.wait_equal("what comes before the trouble", lambda: self.applied(router, "17"),
                        list(range(5)))
        self.assertEqual(self.applied(router, "16"), [0, 1, 2])
        lanes = router.json("lanes", "list")
        self.assertEqual(sorted((lane["head"], lane["lane"], lane["waiting"]) for lane in lanes),
                         [("retry", "business_key1=16", STEPS - 4),
                          ("retry", "business_key1=17", STEPS - 6)])
        router.kill()
        router.start()
        self.send(router, range(STEPS, STEPS + 5))
        router.sql("delete from broken where key1 = '17' or key3 = '3'")
        self.wait_equal("the mended lane", lambda: self.applied(router, "17"),
                        list(range(STEPS + 5)))
        self.wait_equal("the next trouble", lambda: self.applied(router, "16"), list(range(7)))
        router.sql("delete from broken")
        for key in KEYS:
            self.wait_equal(f"all of {key}", lambda: self.applied(router, key),
                            list(range(STEPS + 5)))
        self.assertEqual(router.status()["retries"], 0)
        self.assertEqual(router.json("lanes", "list"), [])

    def test_order_across_retries_and_a_kill(self):
        self.check_way("rabbit")

    def test_order_across_retries_and_a_kill_embedded(self):
        self.check_way("embedded")

    def check_hold(self, broker):
        router = self.ordered(broker, attempts=2, on_dead=', on_dead = "hold"')
        router.sql("insert into broken values ('16', '1'), ('17', '1')")
        self.send(router, range(3))
        letters = {letter["business_key1"]: letter for letter in self.wait_dead(router, 2)}
        self.wait_equal("the other lane", lambda: self.applied(router, "18"), [0, 1, 2])
        self.assertEqual((self.applied(router, "16"), self.applied(router, "17")), ([0], [0]))
        self.assertEqual({lane["head"] for lane in router.json("lanes", "list")}, {"dead"})
        router.sql("delete from broken")
        router.run("dead", "replay", str(letters["16"]["id"]))
        self.wait_equal("the replayed lane", lambda: self.applied(router, "16"), [0, 1, 2])
        router.run("lanes", "release", "dead", str(letters["17"]["id"]))
        self.wait_equal("the released lane", lambda: self.applied(router, "17"), [0, 2])
        self.assertEqual(router.status()["dead"], 1)

    def test_a_dead_letter_holds_its_lane(self):
        self.check_hold("rabbit")

    def test_a_dead_letter_holds_its_lane_embedded(self):
        self.check_hold("embedded")

    def test_a_reload_that_asks_for_no_order(self):
        router = self.ordered("rabbit")
        router.sql("insert into broken values ('16', '0')")
        self.send(router, range(3))
        self.wait_equal("the others", lambda: self.applied(router, "17"), [0, 1, 2])
        path = os.path.join(router.folder, "rules", "a.lua")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        router.write("rules/a.lua", text.replace('  order_by = "business_key1",\n', ""))
        router.run("reload")
        self.send(router, range(3, 4))
        self.wait_equal("in no order by now", lambda: self.applied(router, "16"), [3])
        router.sql("delete from broken")
        self.wait_equal("what waited, in its order", lambda: self.applied(router, "16"),
                        [3, 0, 1, 2])


# Every third step fails at first; the route keeps the order of what it sends, too.
SHAKY = """
herald.route {
  type = "step", to = herald.direct("$exchange", "step"), order_by = "business_key1",
}
herald.subscribe {
  queue = "$ordered", from = herald.direct("$exchange", "step"), order_by = "business_key1",
  retry = { attempts = 5, delay = "30ms", factor = 1, jitter = 0 },
}
herald.on("step", "*", function(msg, tx)
  if msg.attempt == 1 and tonumber(msg.business_key3) % 3 == 0 then error("not at first") end
  tx:exec("insert into effect (key1, key3) values (?, ?)", msg.business_key1, msg.business_key3)
end)
"""
PLACES = {
    "outbox_read": 7, "sent": 3, "confirm_deleted": 2, "confirm_committed": 2, "delivery_read": 5,
    "handler_wrote": 5, "released": 5, "retry_written": 3, "handled": 4, "handled_committed": 4,
}
EMBEDDED = {name: nth for name, nth in PLACES.items()
            if name not in ("sent", "confirm_deleted", "confirm_committed")}


class Killed(Case):
    """Order and once, whoever dies at which step (docs/faults.md#f1, invariants I1 to I5)."""

    def sweep(self, broker, places):
        if not has_points():
            self.skipTest("this build has no failpoints (cmake -DHERALD_FAILPOINTS=ON)")
        self.use_names("ordered")
        router = self.router({
            "migrations/001_effect.sql": RECORD,
            "rules/a.lua": 'local herald = require "herald"\n' + SHAKY,
        }, broker=broker)
        wanted = 0
        for place, nth in places.items():
            router.fail = f"{place}:{nth}:kill"
            router.start()
            router.fail = None
            router.sql("begin immediate;" + "".join(
                "insert into herald_outbox (type, business_key1, business_key3) "
                f"values ('step', '{key}', '{step}');"
                for step in range(wanted, wanted + 8) for key in KEYS) + "commit;")
            self.assertEqual(router.wait_exit(30), -signal.SIGKILL, f"it was to die at {place}")
            router.start()
            wanted += 8
            for key in KEYS:
                self.wait_equal(f"all of {key} after {place}", lambda k=key: [
                    int(step) for step in router.column(
                        "select key3 from effect where key1 = ? order by id", k)],
                    list(range(wanted)))
            self.wait_drained(router)
            self.assertEqual(router.status()["retries"], 0)
            self.assertEqual(router.rows("pragma integrity_check"), [("ok",)])
            router.stop()

    def test_at_each_step(self):
        self.sweep("rabbit", PLACES)

    def test_at_each_step_embedded(self):
        self.sweep("embedded", EMBEDDED)
