"""nemesis: the world of test_nemesis.py: two routers with every kind of rule, and a load.

A maker sends what a Plan writes into its outbox; a taker has a subscription of each kind, and
writes down every effect. What shall fail stands in the taker's tables, so that it can be mended.
A message's number is in its business key 3; numbers of one key ascend in the order of commits.
"""

import collections
import json
import sqlite3
import threading
import time

HOUR = 3600000

# A role is what a queue is for. Those of STRICT keep the order per key, whatever happens; lanes
# of `held` do unless an operator releases them.
STRICT = ("steps", "audit", "orders", "narrow")
FREE = ("plain", "copy", "held", "loose", "timed", "again", "follow", "close", "late")
ROLES = STRICT + FREE
TAKEN_BY = {  # message type: the roles that get it
    "plain": ("plain", "copy"), "step": ("steps", "audit"), "held": ("held",), "loose": ("loose",),
    "narrow": ("narrow",), "timed": ("timed", "again"), "open": ("orders",), "stop": ("orders",),
    "lost": ("late",), "parked": ("late",), "unrouted": ("late",),
}

TABLES = """
create table effect (id integer primary key, role text, number integer, key text, attempt integer,
  raw blob, at integer);
create table cancelled (number integer primary key, opened integer, outcome text);
create table broken (role text, number integer, kind text, tries integer,
  primary key (role, number));
create table sick (role text, key text, primary key (role, key));
create table once (n integer primary key);
insert into once values (1);
"""

MAKER_SETTINGS = """return {
  confirm_timeout = "3s",
  publish_retry = { attempts = 100000, delay = "50ms", max_delay = "1s", jitter = 0.2 },
}
"""
TAKER_SETTINGS = 'return { confirm_timeout = "3s", handler_timeout = "500ms" }\n'

MAKER = """
local herald = require "herald"
local function to(role) return herald.direct("$exchange", role) end
herald.route { type = "plain", to = { to "plain", to "copy" } }
herald.route { type = "step", to = { to "steps", to "audit" }, order_by = "business_key1" }
herald.route { type = "open", to = to "orders", order_by = "business_key1" }
herald.route { type = "stop", to = to "orders", order_by = "business_key1" }
herald.route { type = "held", to = to "held", order_by = "business_key1" }
herald.route { type = "narrow", to = to "narrow", order_by = "business_key1" }
herald.route { type = "loose", to = function(msg) return to "loose" end%(loose)s }
herald.route { type = "timed", to = { to "timed", to "again" } }
herald.route { type = "lost", to = to "late" }
herald.route { type = "parked", to = to "late", unroutable = "park" }
"""
LOOSE_ROUTES = (', order_by = "business_key1"', "")
LATE_ROUTE = 'herald.route { type = "unrouted", to = to "late" }\n'

# `column` is wrong for a while; text is put together at run time, so that no check finds it.
TAKER = """
local herald = require "herald"
local COLUMN = "%(column)s"
local function number(msg) return math.tointeger(msg.business_key3) end

local failures = {}
function failures.error(msg) error("number " .. msg.business_key3 .. " is broken") end
function failures.retry() herald.retry("30ms", "not now") end
function failures.reject() herald.reject("not this one") end
function failures.constraint(_, tx) tx:exec("insert into once values (1)") end
function failures.rollback(_, tx) tx:exec("insert or rollback into once values (1)") end
function failures.slow() while true do end end

local function record(role, msg, tx)
  tx:exec("insert into effect (role, number, key, " .. COLUMN .. ", raw, at) "
    .. "values (?, ?, ?, ?, ?, ?)", role, number(msg), msg.business_key1, msg.attempt, msg.raw,
    herald.now())
  local broken = tx:row("select kind, tries from broken where role = ? and number = ?", role,
    number(msg))
  if broken and msg.attempt <= broken.tries then failures[broken.kind](msg, tx) end
  if tx:value("select 1 from sick where role = ? and key = ?", role, msg.business_key1) then
    error("key " .. msg.business_key1 .. " is sick")
  end
end

local also = {}
function also.plain(msg, tx)
  local n = number(msg)
  if n %% 3 == 0 then
    tx:emit { type = "follow", business_key1 = msg.business_key1, business_key3 = tostring(n),
              delay = n %% 2 == 0 and "400ms" or nil }
  end
end
function also.orders(msg, tx)
  if msg.type == "open" then
    tx:emit { type = "close", business_key1 = msg.business_key1, delay = msg.business_key2,
              business_key3 = msg.business_key3, key = "close-" .. msg.business_key3 }
  else
    tx:exec("insert into cancelled values (?, ?, ?)", number(msg),
      math.tointeger(msg.business_key2), tostring(tx:cancel("close-" .. msg.business_key2)))
  end
end

local classic = { %(classic)s }
local function take(role, types, how)
  how.queue_type = classic[role] and "classic" or nil
  how.queue, how.from = herald.queue_names[role], herald.direct("$exchange", role)
  herald.subscribe(how)
  for _, type in ipairs(types) do
    herald.on(type, "*", function(msg, tx)
      record(role, msg, tx)
      if also[role] then also[role](msg, tx) end
    end, { queue = how.queue })
  end
end
local function often() return { attempts = 100000, delay = "%(delay)s", factor = 1 } end
local function seldom(n) return { attempts = n, delay = "%(delay)s", factor = 2, jitter = 0.3 } end
local by_key = "business_key1"
take("steps", { "step" }, { order_by = by_key, on_dead = "hold", retry = often() })
take("audit", { "step" }, { order_by = by_key, on_dead = "hold", retry = often() })
take("orders", { "open", "stop" }, { order_by = by_key, on_dead = "hold", retry = often() })
take("plain", { "plain" }, { retry = seldom(3) })
take("copy", { "plain" }, { retry = seldom(2), pause_after = false })
take("held", { "held" }, { order_by = by_key, on_dead = "hold", retry = seldom(2) })
take("loose", { "loose" }, { %(loose)s retry = seldom(3) })
take("timed", { "timed" }, { retry = seldom(3) })
take("again", { "timed" }, { retry = seldom(2) })
take("follow", { "follow" }, { retry = seldom(2) })
take("close", { "close" }, { retry = seldom(3) })
%(narrow)s
%(late)s
herald.route { type = "follow", to = herald.direct("$exchange", "follow") }
herald.route { type = "close", to = herald.direct("$exchange", "close") }
"""
NARROW = 'take("narrow", { "narrow" }, { order_by = by_key, on_dead = "hold", retry = often() })'
LATE = 'take("late", { "lost", "parked", "unrouted" }, { retry = seldom(3) })'
MENDED = {"column": "attempt", "delay": "40ms", "loose": "order_by = by_key,", "narrow": NARROW,
          "late": "", "classic": ""}
CHANGES = {"column": "attempts_so_far", "loose": "", "narrow": "", "delay": "90ms"}


def maker_rules(loose=LOOSE_ROUTES[0]):
    return MAKER % {"loose": loose}


def taker_rules(**changes):
    text = TAKER % {**MENDED, **changes}
    names = "".join(f'{role} = "${role}", ' for role in ROLES)
    return text.replace("herald.queue_names[role]", "({ " + names + "})[role]")


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
