"""nemesis_faults: what goes wrong, and what an operator does meanwhile: one method fault_... each.

They draw from self.rng, and act on self.maker, self.taker, their self.wires (proxy.py) and the
broker. What lasts goes on aside, so faults overlap. What an operator throws away or takes out of
its order is noted for the count: self.dropped, self.released, and at_most of self.load.
"""

import os
import signal
import sqlite3
import subprocess
import threading
import time

import nemesis
from harness import World, has_points

COMMON = ("commit", "checkpoint", "reload", "shutdown", "send_half", "outbox_read", "sent",
          "confirm_read", "confirm_deleted", "confirm_committed")
POINTS = {  # places of core/README.md that a router passes
    "maker": COMMON,
    "taker": COMMON + ("commit",) * 4 + (
        "begun", "delivery_read", "inbox_entered", "handler_wrote", "released", "retry_written",
        "handled", "handled_committed"),
}
LIFE_SECONDS = 1.5  # of a router that shall die at a place; then it is killed
OFTEN = ("fault_kill", "fault_kill", "fault_point", "fault_point", "fault_point", "fault_cut",
         "fault_rules", "fault_mend_rules", "fault_replay", "fault_drop", "fault_release",
         "fault_sick", "fault_echo", "fault_echo", "fault_retries_now", "fault_outbox_retry")


class Faults:
    """A part of a harness.Case."""

    def faults(self):
        """Their names, the frequent ones several times."""
        names = [name for name in dir(self) if name.startswith("fault_")] + list(OFTEN)
        return [name for name in names if has_points() or name != "fault_point"]

    def tell(self, words):
        self.told.append(words)

    def any_router(self):
        return self.rng.choice((self.maker, self.taker))

    def any_wire(self):
        return self.rng.choice(self.wires)

    def aside(self, function, *values):
        """In a thread, which is_quiet waits for."""
        thread = threading.Thread(target=function, args=values, daemon=True)
        thread.start()
        self.asides.append((function, thread))

    def is_quiet(self):
        return not any(thread.is_alive() for _, thread in self.asides)

    # --- the processes ---

    def revive(self, router):
        """It need not be ready: the broker may be away, and the load goes on."""
        router.process = None
        router.start(ready=False)

    def fault_kill(self):
        router = self.any_router()
        router.kill()
        time.sleep(self.rng.choice((0, 0, 0.3)))
        self.revive(router)

    def fault_terminate(self):
        router = self.any_router()
        router.stop()
        self.revive(router)

    def fault_point(self):
        """It dies, or its commit fails, at a place of core/README.md."""
        router = self.any_router()
        router.stop()
        place = self.rng.choice(POINTS[router.name.partition("-")[0]])
        how = self.rng.choice(("kill", "eio", "enospc")) if place == "commit" else "kill"
        router.fail = f"{place}:{self.rng.randint(1, 20)}:{how}"
        self.tell(f"{router.name} {router.fail}")
        router.launch()
        router.fail = None
        until = time.monotonic() + LIFE_SECONDS
        while time.monotonic() < until and router.running():
            time.sleep(0.02)
        if router.running():
            router.signal(self.rng.choice((signal.SIGKILL, signal.SIGTERM)))
        router.process.wait(60)
        self.assertIn(router.process.returncode, (0, 1, -signal.SIGKILL))
        self.revive(router)

    # --- the broker, and the way to it ---

    def fault_cut(self):
        for wire in self.wires:
            if self.rng.random() < 0.7:
                wire.cut()

    def fault_cut_at_a_byte(self):
        wire = self.any_wire()
        wire.cut_at = {self.rng.choice(("up", "down")): self.rng.randint(1000, 60000)}
        wire.cuts = 2
        wire.cut()

    def fault_silence(self):
        self.aside(self.silence, self.any_wire(), self.rng.choice(({"up"}, {"down"}, {"up", "down"})),
                   self.rng.uniform(0.1, 0.8))

    def silence(self, wire, directions, seconds):
        wire.silent = directions
        time.sleep(seconds)
        wire.cut()  # what was lost must not be missing in the middle of a stream
        wire.silent = set()

    def fault_slow_wire(self):
        self.aside(self.slow, self.any_wire(), self.rng.choice((0.05, 0.3)))

    def slow(self, wire, seconds):
        wire.delay = seconds
        time.sleep(1)
        wire.delay = 0

    def fault_alarm(self):
        """The broker's memory alarm; one at a time."""
        if not any(what == self.alarm and thread.is_alive() for what, thread in self.asides):
            self.aside(self.alarm)

    def alarm(self):
        try:
            self.set_watermark("0")
            time.sleep(0.5)
        finally:
            self.set_watermark("0.4")

    def set_watermark(self, part):
        World.node.ctl("eval", f"vm_memory_monitor:set_vm_memory_high_watermark({part}).")

    def break_broker(self):
        """It is killed; that takes long, so it is no fault of every day."""
        self.wait_for("the other faults to end", self.is_quiet)
        World.node.kill()
        World.node.restart()
        self.listen()

    def fault_echo(self):
        """Somebody sends again what was sent: the same ids, later."""
        channel = self.echo.channel
        for _ in range(60):
            method, properties, body = channel.basic_get(self.names["echo"], auto_ack=True)
            if method is None:
                break
            channel.basic_publish(self.names["exchange"], method.routing_key, body, properties)

    # --- the stores ---

    def write(self, router, statement, rows):
        store = sqlite3.connect(router.store, timeout=60)
        with store:
            store.executemany(statement, rows)
        store.close()

    def fault_foreign_writer(self):
        self.aside(self.hold_lock, self.any_router().store)

    def hold_lock(self, path):
        store = sqlite3.connect(path, timeout=60, isolation_level=None)
        store.execute("begin immediate")
        time.sleep(1)
        store.execute("rollback")
        store.close()

    def fault_sick(self):
        """All messages of a key fail."""
        role = self.rng.choice(nemesis.STRICT + ("held", "loose"))
        kind = {"steps": "step", "audit": "step"}.get(role, role)
        key = f"{kind}{self.rng.randrange(2)}-{self.rng.randrange(3)}"
        self.write(self.taker, "insert or ignore into sick values (?, ?)", [(role, key)])

    def fault_heal_some(self):
        if self.rng.random() < 0.5:
            self.write(self.taker, "delete from sick where key like ?",
                       [("%" + self.rng.choice("012"),)])
        else:
            self.write(self.taker, "delete from broken where number % 3 = ?",
                       [(self.rng.randrange(3),)])

    # --- the rules ---

    def reload(self, router):
        return self.command(router, "reload", *self.rng.choice(((), (), ("--trial", "50"))))

    def fault_rules(self):
        """One with a mistake, another order, another delay, without one of the queues."""
        changes = {name: value for name, value in nemesis.CHANGES.items()
                   if self.rng.random() < 0.4}
        self.tell(" ".join(changes))
        self.taker.write("rules/a.lua", self.taker_rules(**changes))
        self.reload(self.taker)

    def fault_mend_rules(self):
        self.taker.write("rules/a.lua", self.taker_rules())
        self.reload(self.taker)

    def fault_maker_rules(self):
        self.maker.write("rules/a.lua", nemesis.maker_rules(self.rng.choice(nemesis.LOOSE_ROUTES)))
        self.reload(self.maker)

    def fault_bad_rule(self):
        router = self.any_router()
        router.write("rules/zz.lua", "this is no Lua\n")
        self.assertNotEqual(self.reload(router).returncode, 0)
        os.remove(os.path.join(router.folder, "rules", "zz.lua"))
        self.reload(router)

    # --- the operator ---

    def command(self, router, *words):
        """What it finds is not known, so that it fails is fine; that it does not understand is
        not, nor anything that betrays a bug."""
        done = subprocess.run([World.herald, "-C", router.folder, *words], text=True, timeout=90,
                              env=router.environment(), capture_output=True, check=False)
        said = done.stdout + done.stderr
        self.check_words(said, " ".join(words))
        self.assertIn(done.returncode, (0, 1), f"{words} said: {said}")
        return done

    def drops(self, router, what, id_):
        return '"dropped":1,' in self.command(router, what, "drop", str(id_), "--json").stdout

    def fault_replay(self):
        self.command(self.any_router(), "dead", "replay", "--all")

    def fault_retries_now(self):
        self.command(self.taker, "retries", "now", "--all")

    def fault_outbox_retry(self):
        self.command(self.any_router(), "outbox", "retry", "--all")

    def droppable(self, table):
        """Messages of queues that keep no order, or go on without one: (id, role, number)."""
        roles = {self.names[role]: role for role in nemesis.FREE}
        return [(id_, roles[queue], int(number)) for id_, queue, number in self.taker.rows(
            f"select id, queue, business_key3 from herald_{table}") if queue in roles]

    def fault_drop(self):
        """One dead letter, or one retry."""
        what, table = self.rng.choice((("dead", "dead"), ("retries", "retry")))
        found = self.droppable(table)
        if found:
            id_, role, number = self.rng.choice(found)
            if self.drops(self.taker, what, id_):
                self.dropped.add((role, number))

    def fault_drop_parked(self):
        found = self.maker.rows("select id, cast(business_key3 as integer) from herald_dead")
        if found:
            id_, number = self.rng.choice(found)
            if self.drops(self.maker, "dead", id_):
                self.dropped.add(("late", number))

    def fault_drop_row(self):
        """A row of the outbox, which may be on the broker already."""
        found = self.maker.rows("select id, cast(business_key3 as integer) from herald_outbox "
                                "where type in ('held', 'loose', 'narrow', 'lost', 'timed')")
        if found:
            id_, number = self.rng.choice(found)
            if self.drops(self.maker, "outbox", id_):
                self.load.at_most.setdefault(number, 1)

    def fault_cancel(self):
        name = self.load.victim(self.rng)
        if name is not None:
            said = self.command(self.maker, "outbox", "cancel", name, "--json").stdout
            self.load.cancelled(name, said)

    def fault_release(self):
        """A lane of `held` goes on without what it waits for, on the way out or in."""
        router = self.any_router()
        lanes = [lane for lane in router.json("lanes", "list")
                 if lane["lane"].startswith("business_key1=held")]
        if lanes:
            lane = self.rng.choice(lanes)
            key = lane["lane"].removeprefix("business_key1=").partition(" ")[0]
            self.released.add(("held", key))
            self.command(router, "lanes", "release", lane["head"], str(lane["id"]))
