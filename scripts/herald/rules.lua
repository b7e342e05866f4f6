-- rules: what herald.route, herald.subscribe and herald.on accept, and what they make
-- of it. Trusted code: it runs in the rules' state before any file does. Arguments of AMQP are in
-- arguments.lua, how a message is read is in reading.lua.
--
-- Every function here is called through C, which puts the author's place ("rules/x.lua:12") in
-- front of the arguments (nil for a destination); errors carry it. What passes the checks is handed
-- to `native` as one table of what is declared: plain values, words, and the functions as their
-- author wrote them, by whose text a reload tells what changed. `calls` has what is called in their
-- place. C reads each field once, in core/script/dsl.c.

local native, nearest, arguments_of, reading_of = ...

local NAME_MAX = 255 -- AMQP's short strings
local YEARS_100 = 36525 * 24 * 3600

-- The destinations made here, so that a look-alike table is not taken for one.
local destinations = setmetatable({}, { __mode = "k" })

local function fail(origin, text, ...)
  error((origin or native.place()) .. ": " .. text:format(...), 0)
end

local arguments = arguments_of(fail, native.is_text)

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
  if not native.is_text(name) then fail(origin, "%s is not UTF-8 text", what) end
  return name
end

local reading = reading_of { fail = fail, article = article, check_keys = check_keys, check_name = check_name }

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

local class = { __metatable = "herald.destination" }

-- exchange:from(others): the same, and bound to these itself. Set below.
local bound_to

function class.__index(handle, key) return key == "from" and bound_to or destinations[handle][key] end

function class.__newindex() error("a destination is read-only", 2) end

function class.__tostring(handle)
  local d = destinations[handle]
  return ("herald.%s \"%s\""):format(d.kind, d.kind == "queue" and d.routing_key or d.exchange)
end

-- What a script holds is empty; the fields that count stay here. Where `keys` are given, it stands
-- for one of each, which is for `from` alone; as `bound` is, arguments of a binding.
local function destination(kind, exchange, routing_key, keys, bound, sources)
  local handle = setmetatable({}, class)
  destinations[handle] = { kind = kind, exchange = exchange, routing_key = routing_key, keys = keys,
    arguments = bound, sources = sources }
  return handle
end

local function check_routing_key(origin, what, key)
  if key == "" then return key end
  return check_name(origin, what, key)
end

-- One key, or a list of them for `from`.
local function keyed(kind, origin, exchange, key)
  check_name(origin, "the exchange of herald." .. kind, exchange)
  local what = "the routing key of herald." .. kind
  if type(key) ~= "table" then
    return destination(kind, exchange, check_routing_key(origin, what, key))
  end
  local keys, count = {}, 0
  for i, item in ipairs(key) do
    keys[i] = check_routing_key(origin, ("item %d of the routing keys of herald.%s"):format(i, kind), item)
  end
  for _ in pairs(key) do count = count + 1 end
  if count ~= #keys or count == 0 then
    fail(origin, "%s is a table, not a text or a list of them", what)
  end
  return destination(kind, exchange, nil, keys)
end

local M = {}

function M.fanout(origin, exchange, key)
  if key ~= nil then
    fail(origin, "herald.fanout takes an exchange and no routing key: a fanout ignores it")
  end
  return destination("fanout", check_name(origin, "the exchange of herald.fanout", exchange), "")
end

function M.direct(origin, exchange, key) return keyed("direct", origin, exchange, key) end

function M.topic(origin, exchange, key) return keyed("topic", origin, exchange, key) end

function M.headers(origin, exchange, bound)
  return destination("headers", check_name(origin, "the exchange of herald.headers", exchange), "",
    nil, arguments.binding(origin, bound))
end

function M.queue(origin, name)
  return destination("queue", "", check_name(origin, "the name in herald.queue", name))
end

-- What another exchange is bound to, of the arguments of exchange:from().
local function source_of(what, item)
  local fields = destinations[item]
  if not fields or fields.kind == "queue" then
    fail(nil, "%s takes exchanges: herald.fanout \"exchange\", herald.topic(\"exchange\", \"key\") or "
      .. "a list of them, not %s", what, fields and "a queue" or article(item))
  end
  return fields
end

bound_to = function(handle, from)
  local fields = destinations[handle]
  if not fields then fail(nil, "write exchange:from(others), with a colon") end
  local what = ("herald.%s:from"):format(fields.kind)
  if fields.kind == "queue" then fail(nil, "%s: a queue is bound by from in herald.subscribe", what) end
  if destinations[from] or type(from) ~= "table" then from = { from } end
  local sources = { table.unpack(fields.sources or {}) }
  for _, item in ipairs(from) do sources[#sources + 1] = source_of(what, item) end
  return destination(fields.kind, fields.exchange, fields.routing_key, fields.keys, fields.arguments,
    sources)
end

local HOW = "write herald.fanout \"exchange\", herald.topic(\"exchange\", \"key\"), "
  .. "herald.direct(\"exchange\", \"key\"), herald.headers \"exchange\" or herald.queue \"name\""

-- Order --------------------------------------------------------------------------

local LANES = { business_key1 = 1, business_key2 = 2, business_key3 = 3 }

-- The number of the business key that names the lane; nil: no order.
local function check_order_by(origin, where, order_by)
  if order_by == nil then return nil end
  return LANES[check_word(origin, "order_by in " .. where, order_by,
    { "business_key1", "business_key2", "business_key3" })]
end

-- Routes -------------------------------------------------------------------------

local UNROUTABLE = { "retry", "park", "drop" }
local ROUTE_KEYS = { type = true, order_type = true, to = true, unroutable = true,
                     order_by = true, format = true }
local FORMATS = { "nestjs", "celery", "cloudevents", "masstransit", "cap", "symfony", "spring" }

local TARGETS_MAX = 64 -- also of what a queue is bound to

-- The kind of an exchange is not part of its name.
local function same_destination(a, b)
  return a.exchange == b.exchange and a.routing_key == b.routing_key
end

local function check_target(origin, what, fields)
  if fields.keys or fields.arguments or fields.sources then
    fail(origin, "%s herald.%s with %s: those are of bindings, for from in herald.subscribe", what,
      fields.kind, fields.keys and "a list of routing keys"
      or fields.arguments and "arguments" or "others that it takes from")
  end
  return fields
end

-- One destination or a list of them, as a list of their fields. `what` begins the words.
local function check_targets(origin, what, to)
  if destinations[to] then return { check_target(origin, what, destinations[to]) } end
  if to == nil then fail(origin, "%s nil, not a destination: %s", what, HOW) end
  if type(to) ~= "table" then
    fail(origin, "%s %s, not a destination: %s", what, article(to), HOW)
  end
  local list, count = {}, 0
  for _ in pairs(to) do count = count + 1 end
  for i, item in ipairs(to) do
    local fields = destinations[item]
    if not fields then
      fail(origin, "%s a list whose item %d is %s, not a destination: %s", what, i, article(item),
        HOW)
    end
    for j, other in ipairs(list) do
      if same_destination(fields, other) then
        fail(origin, "%s a list whose items %d and %d are the same: %s", what, j, i, tostring(item))
      end
    end
    list[i] = check_target(origin, what, fields)
  end
  if count ~= #list then
    fail(origin, "%s a table, not a destination or a list of them: %s", what, HOW)
  end
  if count == 0 then fail(origin, "%s an empty list: %s", what, HOW) end
  if count > TARGETS_MAX then
    fail(origin, "%s a list of %d: it takes at most %d", what, count, TARGETS_MAX)
  end
  return list
end

local function check_to(origin, to)
  if to == nil then fail(origin, "to is missing in herald.route: %s", HOW) end
  return check_targets(origin, "to in herald.route is", to)
end

-- What C calls for a message: the fields of each destination that the function names.
local function chooser(origin, to)
  return function(msg)
    return { to = check_targets(origin, "the function to of herald.route returned", (to(msg))) }
  end
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
  local unroutable = spec.unroutable == nil and "retry" or spec.unroutable
  check_word(origin, "unroutable in herald.route", unroutable, UNROUTABLE)
  if spec.format ~= nil then check_word(origin, "format in herald.route", spec.format, FORMATS) end
  local chooses = type(spec.to) == "function"
  native.add_route(origin, {
    type = type_name,
    order_type = order_type,
    to = chooses and {} or check_to(origin, spec.to),
    to_function = chooses and spec.to or nil,
    unroutable = unroutable,
    order_by = check_order_by(origin, "herald.route", spec.order_by),
    format = spec.format,
  }, chooses and { to_function = chooser(origin, spec.to) } or nil)
end

-- Subscriptions ------------------------------------------------------------------

local SUBSCRIBE_KEYS = { queue = true, from = true, retry = true, queue_type = true, on_dead = true,
                         prefetch = true, unhandled = true, before = true, after = true,
                         envelope = true, identity = true, order_by = true, pause_after = true,
                         order_type = true, business_key1 = true, business_key2 = true,
                         business_key3 = true, arguments = true, priority = true,
                         exclusive = true }
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

-- Adds a destination, or one for each of its keys.
local function add_sources(list, fields)
  for _, key in ipairs(fields.keys or {}) do
    list[#list + 1] = { kind = fields.kind, exchange = fields.exchange, routing_key = key }
  end
  if not fields.keys then list[#list + 1] = fields end
end

-- Those that exchanges of the list take from, in two lists of one length: what takes, and from what.
local function add_exchanges(targets, sources, fields)
  for _, source in ipairs(fields.sources or {}) do
    local before = #sources
    add_sources(sources, source)
    for i = before + 1, #sources do
      targets[i] = { kind = fields.kind, exchange = fields.exchange, routing_key = "" }
    end
    add_exchanges(targets, sources, source)
  end
end

local function check_from(origin, from)
  if from == nil then return {} end
  local list, targets, sources, count = {}, {}, {}, 0
  if destinations[from] or type(from) ~= "table" then from = { from } end
  for _, item in ipairs(from) do
    local fields = check_source(origin, item)
    add_sources(list, fields)
    add_exchanges(targets, sources, fields)
    count = count + 1
  end
  for _ in pairs(from) do count = count - 1 end
  if count ~= 0 or #list == 0 then
    fail(origin, "from in herald.subscribe is one destination or a list of them")
  end
  if #list > TARGETS_MAX then
    fail(origin, "from in herald.subscribe is a list of %d: it takes at most %d", #list, TARGETS_MAX)
  end
  if #sources > TARGETS_MAX then
    fail(origin, "from in herald.subscribe binds %d exchanges to others: it takes at most %d", #sources,
      TARGETS_MAX)
  end
  if #sources == 0 then return list end
  return list, targets, sources
end

local function check_delays(origin, where, delay)
  local what = "delay in the retry of " .. where
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

-- A policy: what is given stands above `base`. `where` is "herald.subscribe" or "herald.on".
local function check_retry(origin, where, retry, base)
  local inside = " in the retry of " .. where
  retry = default(retry, {})
  check_spec(origin, "the retry of " .. where, retry, RETRY_KEYS)
  local function given(name, check, ...)
    if retry[name] == nil then return base[name] end
    return check(origin, name .. inside, retry[name], ...)
  end
  return {
    attempts = given("attempts", check_integer, 1, 1000000),
    delays = retry.delay == nil and base.delays or check_delays(origin, where, retry.delay),
    factor = given("factor", check_number, 1, 1000),
    max_delay = given("max_delay", check_duration),
    jitter = given("jitter", check_number, 0, 1),
    max_age = given("max_age", check_duration),
  }
end

local function check_function(origin, what, value)
  if value ~= nil and type(value) ~= "function" then
    fail(origin, "%s is %s, not a function", what, article(value))
  end
  return value
end

local function check_on_dead(origin, spec) -- true: a dead letter keeps its lane waiting
  if spec.on_dead == nil then return nil end
  if spec.order_by == nil then
    fail(origin, "on_dead in herald.subscribe is for lanes: say which by order_by")
  end
  return check_word(origin, "on_dead in herald.subscribe", spec.on_dead, { "release", "hold" }) == "hold"
end

local function check_pause(origin, after) -- 0: never
  if after == false or after == 0 then return 0 end
  return check_integer(origin, "pause_after in herald.subscribe (false: never)", default(after, 20),
    2, 1000)
end

local PRIORITY_MAX = 2 ^ 31 - 1

-- nil: as it is without.
local function check_priority(origin, priority)
  if priority == nil then return nil end
  return check_integer(origin, "priority in herald.subscribe", priority, -PRIORITY_MAX, PRIORITY_MAX)
end

local function check_exclusive(origin, spec)
  local exclusive = spec.exclusive
  if exclusive == nil or exclusive == false then return nil end
  if exclusive ~= true then
    fail(origin, "exclusive in herald.subscribe is %s, not a boolean", article(exclusive))
  end
  if spec.queue_type == "quorum" then
    fail(origin, "exclusive in herald.subscribe is for classic queues: a quorum queue keeps nobody "
      .. "out; use arguments = { [\"x-single-active-consumer\"] = true }")
  end
  if type(spec.arguments) == "table" and spec.arguments["x-single-active-consumer"] then
    fail(origin, "herald.subscribe has exclusive and x-single-active-consumer: the broker refuses "
      .. "an exclusive consumer there; leave one of them out")
  end
  return true
end

function M.subscribe(origin, spec)
  check_spec(origin, "herald.subscribe", spec, SUBSCRIBE_KEYS)
  local queue = check_name(origin, "queue in herald.subscribe", spec.queue)
  if spec.queue_type ~= nil then
    check_word(origin, "queue_type in herald.subscribe", spec.queue_type, { "quorum", "classic" })
  end
  local envelope, asked, read, envelope_name = reading.envelope(origin, spec.envelope)
  local identity = spec.identity ~= "body.id" and check_function(origin,
    "identity in herald.subscribe", spec.identity) or nil
  local from, targets, sources = check_from(origin, spec.from)
  local unhandled = default(spec.unhandled, "ack")
  check_word(origin, "unhandled in herald.subscribe", unhandled, { "ack", "dead" })
  native.add_subscription(origin, {
    queue = queue,
    from = from,
    targets = targets,
    sources = sources,
    queue_type = default(spec.queue_type, "any"),
    prefetch = check_integer(origin, "prefetch in herald.subscribe", default(spec.prefetch, 500),
      1, 65535),
    retry = check_retry(origin, "herald.subscribe", spec.retry, native.retry()),
    unhandled = unhandled,
    before = check_function(origin, "before in herald.subscribe", spec.before),
    after = check_function(origin, "after in herald.subscribe", spec.after),
    envelope = envelope,
    envelope_function = asked,
    envelope_name = envelope_name,
    business_key1 = reading.path(origin, spec, "business_key1"),
    business_key2 = reading.order_type_path(origin, spec),
    business_key3 = reading.path(origin, spec, "business_key3"),
    identity = identity,
    identity_in_body = spec.identity == "body.id",
    order_by = check_order_by(origin, "herald.subscribe", spec.order_by),
    hold = check_on_dead(origin, spec),
    pause_after = check_pause(origin, spec.pause_after),
    arguments = arguments.queue(origin, spec.arguments),
    priority = check_priority(origin, spec.priority),
    exclusive = check_exclusive(origin, spec),
  }, {
    before = spec.before,
    after = spec.after,
    envelope_function = read,
    identity = identity and reading.identity(origin, identity),
  })
end

-- Handlers -----------------------------------------------------------------------

local ON_KEYS = { retry = true, timeout = true, queue = true }
local TIMEOUT_MIN_MS, TIMEOUT_MAX_MS = 10, 5 * 60 * 1000 -- as of the setting handler_timeout

local function check_timeout(origin, timeout)
  if timeout == nil then return nil end -- the setting's
  local ms = check_duration(origin, "timeout in herald.on", timeout)
  if ms < TIMEOUT_MIN_MS or ms > TIMEOUT_MAX_MS then
    fail(origin, "timeout in herald.on is %s: it must be between 10ms and 5m", timeout)
  end
  return ms
end

-- Adds the options to the fields of a handler.
local function check_options(origin, options, declared)
  check_spec(origin, "the options of herald.on", options, ON_KEYS)
  declared.timeout = check_timeout(origin, options.timeout)
  if options.retry ~= nil then
    declared.retry = check_retry(origin, "herald.on", options.retry, native.retry())
  end
  if options.queue ~= nil then
    declared.queue = check_name(origin, "queue in herald.on", options.queue)
  end
end

function M.on(origin, type_name, order_type, handler, options)
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
  local declared = { type = type_name, order_type = order_type, handler = handler }
  if options ~= nil then check_options(origin, options, declared) end
  native.add_handler(origin, declared)
end

return M
