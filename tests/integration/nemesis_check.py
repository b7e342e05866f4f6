"""nemesis_check: an independent count of what came of a load (docs/faults.md#invariants: I1 to I5,
I7)."""

import collections
import os

import nemesis
from harness import World

WAL_MOST = 16 << 20
RESIDENT_MOST = {False: 150 << 10, True: 1200 << 10}  # KiB, without and with sanitizers
DESCRIPTORS_MOST = 64


class Count:
    """What must have happened, by (role, number): the fewest and the most effects."""

    def __init__(self, case, load, taker, dropped, released):
        self.case = case
        self.load = load
        self.taker = taker
        self.dropped = dropped  # (role, number) of letters that the operator dropped
        self.released = released  # (role, key) of lanes that the operator released
        self.wanted = {}

    def want(self, role, number, least=1, most=1):
        if (role, number) in self.dropped:
            least = most = 0
        self.wanted[role, number] = (least, most)
        return most

    def want_close(self, number, outcomes):
        """tx:cancel says true: not sent; false: may be; nil: it has been sent and confirmed."""
        least, most = {"true": (0, 0), "false": (0, 1)}.get(outcomes.get(number), (1, 1))
        self.want("close", number, least, most)

    def want_all(self):
        outcomes = dict(self.taker.rows("select opened, outcome from cancelled"))
        for number, row in self.load.committed.items():
            most = self.load.at_most.get(number)
            for role in nemesis.TAKEN_BY[row.type]:
                took = self.want(role, number, *((1, 1) if most is None else (0, most)))
                if role == "plain" and number % 3 == 0 and took:
                    self.want("follow", number)
            if row.type == "open":
                self.want_close(number, outcomes)

    def check(self):
        self.want_all()
        effects = self.taker.rows("select role, number, key, raw, at from effect order by id")
        self.check_once(collections.Counter(effect[:2] for effect in effects))
        for role, number, _, raw, at in effects:
            body = self.load.committed[number].body
            if body is not None and role not in ("follow", "close"):
                raw = raw.decode() if isinstance(raw, bytes) else raw
                self.case.assertEqual(raw, body, f"the body of {number}")
            if role in nemesis.TAKEN_BY["timed"]:
                self.case.assertGreaterEqual(at, self.load.due_at[number], f"{number} came early")
        self.check_order(effects)

    def check_once(self, seen):
        wrong = []
        for what in sorted(set(seen) | set(self.wanted)):
            least, most = self.wanted.get(what, (0, 0))
            if not least <= seen[what] <= most:
                row = self.load.committed.get(what[1], "never committed")
                wrong.append(f"{what}: {seen[what]} times, not {least} to {most}: {str(row)[:120]}")
        self.judge("I1 to I4", wrong)

    def check_order(self, effects):
        lanes = collections.defaultdict(list)
        for role, number, key, _, _ in effects:
            if (role in nemesis.STRICT or role == "held") and (role, key) not in self.released:
                lanes[role, key].append(number)
        wrong = [f"{lane}: {a} came before {b}" for lane, numbers in sorted(lanes.items())
                 for a, b in zip(numbers, numbers[1:]) if a > b]
        self.judge("I5", wrong)

    def judge(self, what, wrong):
        if wrong:
            self.case.fail(f"{what}, {len(wrong)} times:\n" + "\n".join(wrong[:30]))


def check_fair(case, taker, flood):
    """docs/faults.md#f50: while the flood lasted, what the handlers of others emitted went out and
    came back, again and again."""
    handled, moved = taker.rows("select count(*), count(distinct emitted) from flood")[0]
    case.assertEqual(handled, flood, "messages of the flood, each once")
    case.assertGreater(moved, 3, "steps in which others moved beside the flood")


def left(router):
    """What a router still has to do, by table."""
    tables = ("outbox", "retry", "dead")
    return {table: n for table in tables
            if (n := router.value(f"select count(*) from herald_{table}"))}


def check_health(case, router):
    """I7."""
    case.assertEqual(router.rows("pragma integrity_check"), [("ok",)])
    case.assertLess(os.path.getsize(router.store + "-wal"), WAL_MOST)
    proc = f"/proc/{router.process.pid}"
    with open(f"{proc}/status", encoding="ascii") as status:
        resident, = (int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    with open(World.herald, "rb") as program:
        sanitized = b"__asan_init" in program.read()
    case.assertLess(resident, RESIDENT_MOST[sanitized], f"KiB in memory of {router.name}")
    case.assertLess(len(os.listdir(f"{proc}/fd")), DESCRIPTORS_MOST)
    status = router.status()
    case.assertEqual((status["dead"], status["retries"], status["paused"]), (0, 0, []))
    case.assertEqual(router.json("lanes", "list"), [])
