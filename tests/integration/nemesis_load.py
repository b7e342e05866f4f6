"""nemesis_load: what test_nemesis.py writes into the outbox, planned before anything runs."""

import collections
import json
import sqlite3
import threading
import time

from nemesis import FREE, TAKEN_BY

HOUR = 3600000
Row = collections.namedtuple("Row", "number type key key2 due name body")


class Plan:
    """What is written, drawn from `rng` before anything runs."""

    def __init__(self, rng, count):
        self.rng = rng
        self.count = count
        self.number = 0
        self.burst = rng.choice((1, 1, 10, 60))  # so many transactions without a rest
        self.opened = []
        self.batches = ([], [])  # of each thread: (rows, names to take back, whether it commits)
        while self.number < count:
            side = rng.randrange(2)
            rows = [self.draw(side) for _ in range(rng.choice((1, 1, 2, 3, 6)))]
            undo = [f"t{side}-{rng.randrange(12)}"] if rng.random() < 0.1 else []
            self.batches[side].append((rows, undo, rng.random() > 0.08))
        for side, batches in enumerate(self.batches):  # the last of each name is sent soon
            batches.append(([self.timed(f"t{side}-{n}", 300) for n in range(12)], [], True))

    def row(self, kind, key, key2=None, due=0, name=None):
        self.number += 1
        size = self.rng.choice((0, 10, 200, 200, 3000))
        body = None if size == 0 else json.dumps(
            {"n": self.number, "text": "".join(self.rng.choices("abc é№€\"\\", k=size))},
            ensure_ascii=self.rng.random() < 0.5)
        return Row(self.number, kind, key, key2, due, name, body)

    def timed(self, name, due):
        return self.row("timed", None, None, due, name)

    def draw(self, side):
        rng = self.rng
        kind = rng.choices(("plain", "step", "held", "narrow", "loose", "timed", "open", "stop",
                            "lost", "parked", "unrouted"),
                           (20, 16, 12, 10, 10, 14, 8, 5, 2, 2, 1))[0]
        if kind == "timed":
            name = rng.choice((None, f"t{side}-{rng.randrange(12)}", f"victim-{self.number}"))
            far = name is not None and rng.random() < 0.4 and not name.startswith("victim")
            return self.timed(name, HOUR if far else rng.choice((0, 200, 1500)))
        if kind == "stop":
            mine = [number for number, owner in self.opened if owner == side]
            if mine:
                number = rng.choice(mine[-10:])
                self.opened.remove((number, side))
                return self.row("stop", f"orders{side}-{number % 3}", str(number))
            kind = "open"
        if kind == "open":
            number = self.number + 1
            self.opened.append((number, side))
            return self.row("open", f"orders{side}-{number % 3}",
                            rng.choice(("0s", "300ms", "1500ms")))
        return self.row(kind, f"{kind}{side}-{rng.randrange(4)}")

    def broken(self):
        """Rows of the table of that name: what fails, how, and how often."""
        kinds = ("error", "retry", "constraint", "rollback") * 5 + ("slow",)
        for batches in self.batches:
            for row in (row for rows, _, _ in batches for row in rows):
                roles = TAKEN_BY[row.type] + (("follow",) if row.type == "plain" else ())
                for role in roles:
                    if self.rng.random() < 0.12:
                        kind = self.rng.choice(kinds + (("reject",) * 5 if role in FREE else ()))
                        tries = 1 if kind == "slow" else self.rng.choice((1, 1, 2, 9))
                        yield role, row.number, kind, tries


class Load:
    """Writes a Plan from two threads, and knows what it has committed."""

    def __init__(self, path, plan, seconds):
        self.path = path
        self.plan = plan
        self.seconds = seconds
        self.lock = threading.Lock()
        self.committed = {}  # number: Row
        self.bodies = {}
        self.at_most = {}  # number of what was replaced or taken back: 0 or 1
        self.due_at = {}
        self.named = {}  # name: number of its last row
        self.problems = []
        self.threads = [threading.Thread(target=self.work, args=(batches,), daemon=True)
                        for batches in plan.batches]

    def start(self):
        for thread in self.threads:
            thread.start()

    def running(self):
        return any(thread.is_alive() for thread in self.threads)

    def work(self, batches):
        try:
            store = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            store.execute("pragma synchronous = full")
            store.execute("pragma wal_autocheckpoint = 0")
            began = time.monotonic()
            for index, (rows, undo, commits) in enumerate(batches):
                self.write(store, rows, undo, commits)
                burst = (index + 1) // self.plan.burst * self.plan.burst
                ahead = burst * self.seconds / len(batches) - (time.monotonic() - began)
                time.sleep(max(ahead, 0))
            store.close()
        except Exception as problem:  # told in the test's own thread
            self.problems.append(problem)

    def write(self, store, rows, undo, commits):
        store.execute("begin immediate")
        due_at = {}
        for row in rows:
            due_at[row.number] = int(time.time() * 1000) + row.due if row.due else 0
            store.execute(
                "insert into herald_outbox (type, business_key1, business_key2, business_key3, due_at,"
                " key, body) values (?, ?, ?, ?, ?, ?, ?)",
                (row.type, row.key, row.key2, str(row.number), due_at[row.number], row.name, row.body))
        for name in undo:
            store.execute("delete from herald_outbox where key = ?", (name,))
        store.execute("commit" if commits else "rollback")
        if not commits:
            return
        with self.lock:
            self.due_at.update(due_at)
            for row in rows:
                self.committed[row.number] = row
                if row.name is not None:
                    self.give_way(row.name)
                    self.named[row.name] = row.number
            for name in undo:
                self.give_way(name)

    def give_way(self, name):
        """The last row of this name was replaced or taken back; if it was due, it may be sent."""
        number = self.named.pop(name, None)
        if number is not None:
            self.at_most[number] = 0 if self.committed[number].due == HOUR else 1

    def cancelled(self, name, said):
        """What `herald outbox cancel` said of a victim; without a row it was sent before."""
        number = self.named[name]
        if '"cancelled"' in said:
            self.at_most[number] = 0
        elif '"sent"' in said:
            self.at_most[number] = 1

    def victim(self, rng):
        """A name that only the operator takes back, or None."""
        with self.lock:
            names = [name for name in self.named if name.startswith("victim")]
            return rng.choice(names[-3:]) if names else None
