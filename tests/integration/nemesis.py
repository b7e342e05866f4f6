"""nemesis: the rules of test_nemesis.py, every kind of them, for two routers.

A maker sends what is written into its outbox; a taker has a subscription of each kind, and writes
down every effect, while a flood of slow messages keeps it from ever having nothing to do; each of
them notes how many effects there are by then that went through its own outbox. What shall fail stands in the taker's tables, so that it can be mended. A
message's number is in its business key 3; numbers of one key ascend in the order of commits.
"""


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
create table flood (n integer primary key, emitted integer not null);
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

local queues, classic = { %(queues)s }, { %(classic)s }
local function take(role, types, how)
  how.queue_type = classic[role] and "classic" or nil
  how.queue, how.from = queues[role], herald.direct("$exchange", role)
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
herald.subscribe { queue = "$flood" }
herald.on("flood", "*", function(_, tx)
  local till = os.clock() + 0.01
  while os.clock() < till do end
  tx:exec("insert into flood (emitted) select count(*) from effect where role in ('follow', 'close')")
end, { queue = "$flood" })
%(narrow)s
%(late)s
herald.route { type = "follow", to = herald.direct("$exchange", "follow") }
herald.route { type = "close", to = herald.direct("$exchange", "close") }
"""
NARROW = 'take("narrow", { "narrow" }, { order_by = by_key, on_dead = "hold", retry = often() })'
LATE = 'take("late", { "lost", "parked", "unrouted" }, { retry = seldom(3) })'
MENDED = {"column": "attempt", "delay": "40ms", "loose": "order_by = by_key,", "narrow": NARROW,
          "late": "", "classic": "",
          "queues": ", ".join(f'{role} = "${role}"' for role in ROLES)}
CHANGES = {"column": "attempts_so_far", "loose": "", "narrow": "", "delay": "90ms"}


def maker_rules(loose=LOOSE_ROUTES[0]):
    return MAKER % {"loose": loose}


def taker_rules(**changes):
    return TAKER % {**MENDED, **changes}
