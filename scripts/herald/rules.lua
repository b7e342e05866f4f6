-- rules: what herald.route, herald.subscribe and herald.on accept, and what they make
-- of it. Trusted code: it runs in the rules' state before any file does.
--
-- Every function here is called through C, which puts the author's place ("rules/x.lua:12")
-- in front of the arguments; errors carry it. `native` makes the C structs.

local native, nearest = ...

local NAME_MAX = 255 -- AMQP's short strings
local YEARS_100 = 36525 * 24 * 3600

-- The destinations made here, so that a look-alike table is not taken for one.
local destinations = setmetatable({}, { __mode = "k" })

local function fail(origin, text, ...)
  error(origin .. ": " .. text:format(...), 0)
end

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function article(value)
  if value == nil then return "nil" end
  local kind = math.type(value) or type(value)
  return (kind:find("^[aeiou]") and "an " or "a ") .. kind
end

-- Unknown keys are refused with the nearest known one.
local function check_keys(origin, what, spec, known)
  for key in pairs(spec) do
    if type(key) ~= "string" then
      fail(origin, "%s takes named fields: there is %s among the keys", what, article(key))
    end
    if not known[key] then
      local names = sorted_keys(known)
      local meant = nearest(key, names)
      fail(origin, "unknown key '%s' in %s%s", key, what,
        meant and (": did you mean '%s'?"):format(meant)
        or " (known: " .. table.concat(names, ", ") .. ")")
    end
  end
end

local function check_spec(origin, what, spec, known)
  if type(spec) ~= "table" then
    fail(origin, "%s takes a table, not %s", what, article(spec))
  end
  check_keys(origin, what, spec, known)
end

local function check_name(origin, what, name)
  if name == nil then fail(origin, "%s is missing", what) end
  if type(name) ~= "string" then fail(origin, "%s is %s, not a string", what, article(name)) end
  if name == "" then fail(origin, "%s is empty", what) end
  if #name > NAME_MAX then fail(origin, "%s is longer than %d bytes", what, NAME_MAX) end
  if name:find("\0", 1, true) or not utf8.len(name) then
    fail(origin, "%s is not UTF-8 text", what)
  end
  return name
end

-- Order types are text on the wire; 60201 means "60201".
local function check_order_type(origin, what, value)
  if math.type(value) == "integer" then return tostring(value) end
  if math.type(value) == "float" then
    fail(origin, "%s is the float %s: write a string or a whole number", what, value)
  end
  return check_name(origin, what, value)
end

local function check_word(origin, what, value, words)
  for _, word in ipairs(words) do
    if value == word then return value end
  end
  local list = '"' .. table.concat(words, '", "') .. '"'
  if type(value) ~= "string" then
    fail(origin, "%s is %s, not one of %s", what, article(value), list)
  end
  fail(origin, "%s is \"%s\", not one of %s", what, value, list)
end

local function check_number(origin, what, value, low, high)
  if type(value) ~= "number" then fail(origin, "%s is %s, not a number", what, article(value)) end
  if not (value >= low and value <= high) then
    fail(origin, "%s is %s: it must be between %s and %s", what, value, low, high)
  end
  return value
end

local function check_integer(origin, what, value, low, high)
  check_number(origin, what, value, low, high)
  local whole = math.tointeger(value)
  if not whole then fail(origin, "%s is %s, not a whole number", what, value) end
  return whole
end

-- "30s", or a number of seconds, to milliseconds.
local function check_duration(origin, what, value)
  if type(value) == "number" then
    check_number(origin, what, value, 0, YEARS_100)
    return math.tointeger(math.floor(value * 1000 + 0.5))
  end
  if type(value) ~= "string" then
    fail(origin, "%s is %s: write a duration such as \"30s\", or seconds", what, article(value))
  end
  local ms = native.duration(value)
  if not ms then
    fail(origin, "%s is \"%s\", not a duration: write a whole number with ms, s, m, h or d, "
      .. "such as \"30s\"", what, value)
  end
  return ms
end

-- Destinations -------------------------------------------------------------------

local function refuse_write()
  error("a destination is read-only", 2)
end

-- What a script holds is empty; the fields that count stay here.
local function destination(kind, exchange, routing_key)
  local fields = { kind = kind, exchange = exchange, routing_key = routing_key }
  local text = ("herald.%s \"%s\""):format(kind, kind == "queue" and routing_key or exchange)
  local handle = setmetatable({}, {
    __index = fields,
    __newindex = refuse_write,
    __tostring = function() return text end,
    __metatable = "herald.destination",
  })
  destinations[handle] = fields
  return handle
end

local function check_routing_key(origin, what, key)
  if key == "" then return key end
  return check_name(origin, what, key)
end

local M = {}

function M.fanout(origin, exchange, key)
  if key ~= nil then
    fail(origin, "herald.fanout takes an exchange and no routing key: a fanout ignores it")
  end
  return destination("fanout", check_name(origin, "the exchange of herald.fanout", exchange), "")
end

function M.direct(origin, exchange, key)
  check_name(origin, "the exchange of herald.direct", exchange)
  return destination("direct", exchange,
    check_routing_key(origin, "the routing key of herald.direct", key))
end

function M.topic(origin, exchange, key)
  check_name(origin, "the exchange of herald.topic", exchange)
  return destination("topic", exchange,
    check_routing_key(origin, "the routing key of herald.topic", key))
end

function M.queue(origin, name)
  return destination("queue", "", check_name(origin, "the name in herald.queue", name))
end

local HOW = "write herald.fanout \"exchange\", herald.topic(\"exchange\", \"key\"), "
  .. "herald.direct(\"exchange\", \"key\") or herald.queue \"name\""

-- Routes -------------------------------------------------------------------------

local ROUTE_KEYS = { type = true, order_type = true, to = true, unroutable = true }

local function check_to(origin, to)
  local fields = destinations[to]
  if fields then return fields end
  if to == nil then fail(origin, "to is missing in herald.route: %s", HOW) end
  if type(to) == "function" then
    fail(origin, "to in herald.route is a function: it takes one destination; %s", HOW)
  end
  if type(to) == "table" and destinations[to[1]] then
    fail(origin, "to in herald.route is a list: it takes one destination; "
      .. "a fanout exchange feeds any number of queues")
  end
  fail(origin, "to in herald.route is %s, not a destination: %s", article(to), HOW)
end

function M.route(origin, spec)
  check_spec(origin, "herald.route", spec, ROUTE_KEYS)
  local type_name = check_name(origin, "type in herald.route", spec.type)
  if type_name == "*" then
    fail(origin, "type in herald.route is \"*\": a route is for one type")
  end
  local order_type = spec.order_type
  if order_type ~= nil then
    order_type = check_order_type(origin, "order_type in herald.route", order_type)
    if order_type == "*" then order_type = nil end
  end
  local unroutable = spec.unroutable
  if unroutable == nil then unroutable = "retry" end
  check_word(origin, "unroutable in herald.route", unroutable, { "retry", "park", "drop" })
  native.add_route(origin, type_name, order_type, check_to(origin, spec.to), unroutable)
end

-- Subscriptions ------------------------------------------------------------------

local SUBSCRIBE_KEYS = { queue = true, from = true, retry = true, queue_type = true,
                         prefetch = true, unhandled = true }
local RETRY_KEYS = { attempts = true, delay = true, factor = true, max_delay = true,
                     jitter = true, max_age = true }
local DELAYS_MAX = 16

local function check_source(origin, from)
  local fields = destinations[from]
  if not fields then
    fail(origin, "from in herald.subscribe has %s, not a destination: %s", article(from), HOW)
  end
  if fields.kind == "queue" then
    fail(origin, "from in herald.subscribe is a queue: a queue takes from exchanges; "
      .. "to listen to a queue as it is, leave from out")
  end
  return fields
end

local function check_from(origin, from)
  if from == nil then return {} end
  if destinations[from] or type(from) ~= "table" then return { check_source(origin, from) } end
  local list, count = {}, 0
  for i, item in ipairs(from) do list[i] = check_source(origin, item) end
  for _ in pairs(from) do count = count + 1 end
  if count ~= #list or count == 0 then
    fail(origin, "from in herald.subscribe is one destination or a list of them")
  end
  return list
end

local function check_delays(origin, delay)
  local what = "delay in the retry of herald.subscribe"
  if type(delay) ~= "table" then return { check_duration(origin, what, delay) } end
  local list = {}
  for i, item in ipairs(delay) do list[i] = check_duration(origin, what, item) end
  if #list == 0 or #list > DELAYS_MAX then
    fail(origin, "%s is a list of %d: it takes 1 to %d durations", what, #list, DELAYS_MAX)
  end
  return list
end

-- nil: the default.
local function default(value, otherwise)
  if value == nil then return otherwise end
  return value
end

local function check_retry(origin, retry)
  local where = " in the retry of herald.subscribe"
  retry = default(retry, {})
  check_spec(origin, "the retry of herald.subscribe", retry, RETRY_KEYS)
  return {
    attempts = check_integer(origin, "attempts" .. where, default(retry.attempts, 10), 1, 1000000),
    delays = check_delays(origin, default(retry.delay, "1s")),
    factor = check_number(origin, "factor" .. where, default(retry.factor, 2), 1, 1000),
    max_delay = check_duration(origin, "max_delay" .. where, default(retry.max_delay, "1h")),
    jitter = check_number(origin, "jitter" .. where, default(retry.jitter, 0.1), 0, 1),
    max_age = check_duration(origin, "max_age" .. where, default(retry.max_age, 0)),
  }
end

function M.subscribe(origin, spec)
  check_spec(origin, "herald.subscribe", spec, SUBSCRIBE_KEYS)
  local queue = check_name(origin, "queue in herald.subscribe", spec.queue)
  if spec.queue_type ~= nil then
    check_word(origin, "queue_type in herald.subscribe", spec.queue_type, { "quorum", "classic" })
  end
  local unhandled = default(spec.unhandled, "ack")
  check_word(origin, "unhandled in herald.subscribe", unhandled, { "ack", "dead" })
  native.add_subscription(origin, queue, check_from(origin, spec.from), spec.queue_type,
    check_integer(origin, "prefetch in herald.subscribe", default(spec.prefetch, 500), 1, 65535),
    unhandled, check_retry(origin, spec.retry))
end

-- Handlers -----------------------------------------------------------------------

function M.on(origin, type_name, order_type, handler)
  check_name(origin, "the type of herald.on", type_name)
  if type(order_type) == "function" then
    fail(origin, "herald.on takes a type, an order type and a function: "
      .. "write herald.on(\"%s\", \"*\", function(msg, tx) ... end)", type_name)
  end
  order_type = check_order_type(origin, "the order type of herald.on", order_type)
  if type(handler) ~= "function" then
    fail(origin, "the handler of herald.on is %s, not a function", article(handler))
  end
  if type_name == "*" and order_type ~= "*" then
    fail(origin, "herald.on(\"*\", \"%s\") matches nothing: an order type belongs to a type",
      order_type)
  end
  native.add_handler(origin, type_name, order_type, handler)
end

return M
