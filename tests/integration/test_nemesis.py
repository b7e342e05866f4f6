"""docs/faults.md#f48: faults of all kinds at once, drawn by a seed, while two routers work under
load.

What nemesis_load.py sends has to be in effect once, in its order, whatever nemesis_faults.py does
meanwhile; nemesis_check.py counts. SEED of run.py repeats the load and the faults, though not
their exact moments. With --long there are many rounds.
"""

import random
import time

import pika

import nemesis
import nemesis_check
import nemesis_load
from harness import Case, World, disturbs
from nemesis_faults import Faults


@disturbs
class Nemesis(Faults, Case):
    def begin(self, name, count, seconds):
        self.rng = random.Random(name)
        self.told, self.asides, self.wires = [], [], []
        self.dropped, self.released = set(), set()
        self.names = {word: f"{self.tag}-{name}-{word}"
                      for word in nemesis.ROLES + ("exchange", "echo", "flood")}
        self.named += self.names.values()
        self.classic = "".join(f"{role} = true, " for role in nemesis.ROLES
                               if role != "narrow" and self.rng.random() < 0.3)
        # A broker that restarts drops what a bounded queue had handed out beyond its length,
        # confirmed or not (RabbitMQ 3.10), so none is bounded where the broker is killed.
        self.breaks = World.long and self.rng.random() < 0.5
        limits = {} if self.breaks else {
            "x-max-length": self.rng.choice((1, 5, 20)), "x-overflow": "reject-publish"}
        World.node.channel().queue_declare(self.names["narrow"], durable=True, arguments=limits)
        self.listen()
        self.flood(count)
        self.maker = self.make("maker", name, {
            "herald.lua": nemesis.MAKER_SETTINGS, "rules/a.lua": nemesis.maker_rules()})
        self.taker = self.make("taker", name, {
            "herald.lua": nemesis.TAKER_SETTINGS, "rules/a.lua": self.taker_rules(),
            "migrations/001_tables.sql": nemesis.TABLES})
        for router in (self.taker, self.maker):
            router.start()
        plan = nemesis_load.Plan(self.rng, count)
        self.write(self.taker, "insert into broken values (?, ?, ?, ?)", list(plan.broken()))
        self.load = nemesis_load.Load(self.maker.store, plan, seconds)
        self.load.start()

    def taker_rules(self, **changes):
        return nemesis.taker_rules(classic=self.classic, **changes)

    def listen(self):
        """To what is sent, for fault_echo."""
        self.echo = self.peer()
        channel = self.echo.channel
        channel.exchange_declare(self.names["exchange"], "direct", durable=True)
        channel.queue_declare(self.names["echo"], durable=True)
        for role in nemesis.ROLES:
            if role not in ("narrow", "late"):  # else nothing there would be refused or returned
                channel.queue_bind(self.names["echo"], self.names["exchange"], role)

    def flood(self, count):
        """Slow messages that wait before the taker starts."""
        channel = World.node.channel()
        channel.queue_declare(self.names["flood"], durable=True)
        for number in range(count):
            channel.basic_publish("", self.names["flood"], b"{}", pika.BasicProperties(
                delivery_mode=2, type="flood", message_id=f"{self.names['flood']}-{number}",
                content_type="application/json"))

    def make(self, kind, name, files):
        wire, url = self.proxy()
        self.wires.append(wire)
        return self.router(files, name=f"{kind}-{name}", broker=url)

    def torment(self):
        faults = self.faults() + ["break_broker"] * (2 if self.breaks else 0)
        while self.load.running():
            name = self.rng.choice(faults)
            self.tell(name.removeprefix("fault_"))
            getattr(self, name)()
            self.assertEqual(self.load.problems, [])
            time.sleep(self.rng.uniform(0, 0.2))

    def heal(self):
        self.wait_for("the faults to end", self.is_quiet)
        for wire in self.wires:
            wire.cut_at, wire.cuts = {}, 0
        for table in ("broken", "sick"):
            self.write(self.taker, f"delete from {table}", [()])
        self.taker.write("rules/a.lua", self.taker_rules(late=nemesis.LATE))
        self.maker.write("rules/a.lua", nemesis.maker_rules() + nemesis.LATE_ROUTE)
        for router in (self.taker, self.maker):
            self.assertEqual(self.reload(router).returncode, 0)

    def left_over(self):
        """What is still to be done, by place; what an operator can hurry is hurried."""
        over = {}
        for router in (self.taker, self.maker):
            left = nemesis_check.left(router)
            if "dead" in left:
                self.command(router, "dead", "replay", "--all")
            elif "outbox" in left:
                self.command(router, "outbox", "retry", "--all")
            over[router.name] = {**left, "unacked": router.status()["broker"]["unacked"]}
        for role in nemesis.ROLES + ("flood",):
            over[role] = {"waiting": World.node.depth(self.names[role])}
        return {place: counts for place, left in over.items()
                if (counts := {what: n for what, n in left.items() if n != 0})}

    def play(self, name, count, seconds):
        try:
            self.begin(name, count, seconds)
            self.torment()
            self.heal()
            for _ in range(2):  # what was between the broker and the taker has arrived by then
                self.wait_equal("what is left", self.left_over, {})
                time.sleep(0.5)
            nemesis_check.Count(self, self.load, self.taker, self.dropped, self.released).check()
            nemesis_check.check_fair(self, self.taker, count)
            for router in (self.taker, self.maker):
                nemesis_check.check_health(self, router)
                router.stop()
        except AssertionError as problem:
            self.fail(f"{problem}\nround {name}: {', '.join(self.told)}")

    def test_all_faults_at_once(self):
        """docs/faults.md#f48"""
        self.play(f"{World.seed}", 800, 12)

    def test_all_faults_for_long(self):
        """docs/faults.md#f48: many rounds."""
        if not World.long:
            self.skipTest("takes minutes: --long")
        for turn in range(10):
            self.play(f"{World.seed}-{turn}", 1500, 30)
