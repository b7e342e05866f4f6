-- topology: rules that load and still cannot do what their author meant.
--
-- On RabbitMQ other programs may publish and listen, so only what is certain is said. The
-- embedded broker has nobody but these rules.

local nearest = require "herald.nearest"

local topology = {}

local function quoted(name)
  return ('"%s"'):format(name)
end

local GUESS_MAX <const> = 2000 -- among more names, each of which is looked at, nobody guesses

-- ' (did you mean "x"?)', or nothing.
local function meant(name, known)
  if #known > GUESS_MAX then return "" end
  local guess = nearest(name, known)
  return guess and guess ~= name and (" (did you mean %s?)"):format(quoted(guess)) or ""
end

local function names_of(list, field)
  local names, seen = {}, {}
  for _, item in ipairs(list) do
    local name = item[field]
    if name and not seen[name] then names[#names + 1] = name end
    if name then seen[name] = true end
  end
  return names
end

-- What is looked for again and again, by its names.
local function key_of(...)
  local parts = { ... }
  for i = 1, select("#", ...) do parts[i] = parts[i] and "=" .. parts[i] or "" end
  return table.concat(parts, "\0")
end

local function set_of(list, ...)
  local set, fields = {}, { ... }
  for _, item in ipairs(list) do
    local parts = {}
    for i = 1, #fields do parts[i] = item[fields[i]] or false end
    set[key_of(table.unpack(parts, 1, #fields))] = true
  end
  return set
end

-- "a.b" as a list of words.
local function split(key)
  local list = {}
  for word in (key .. "."):gmatch("([^.]*)%.") do list[#list + 1] = word end
  return list
end

local function match_words(pattern, i, key, j)
  if i > #pattern then return j > #key end
  if pattern[i] == "#" then
    for rest = j, #key + 1 do
      if match_words(pattern, i + 1, key, rest) then return true end
    end
    return false
  end
  return j <= #key and (pattern[i] == "*" or pattern[i] == key[j])
    and match_words(pattern, i + 1, key, j + 1)
end

-- Does an exchange of this kind pass on, by a binding with this key, what was sent with that one?
-- Headers are not known.
local function passes(kind, bound, key)
  return kind == "fanout" or kind == "headers" or kind == "direct" and bound == key
    or kind == "topic" and match_words(split(bound), 1, split(key), 1)
end

-- Does a message sent to this destination come to this subscription's queue?
local function reaches(to, subscription)
  if to.kind == "queue" then return to.routing_key == subscription.queue end
  for _, from in ipairs(subscription.from) do
    if from.exchange == to.exchange and passes(to.kind, from.routing_key, to.routing_key) then
      return true
    end
  end
  return false
end

local function pair(handler)
  return handler.order_type == "*" and quoted(handler.type)
    or ("%s, order type %s"):format(quoted(handler.type), quoted(handler.order_type))
end

-- What herald raises itself (docs/rules.md) -----------------------------------------

local EVENTS <const> = { "herald.broker_back", "herald.broker_lost", "herald.dead_letters",
  "herald.disk_low", "herald.paused", "herald.reload_refused" }

local is_event = {}
for _, name in ipairs(EVENTS) do is_event[name] = true end

local function judge_events(rules, found)
  for _, list in ipairs { rules.routes, rules.handlers } do
    for _, rule in ipairs(list) do
      if rule.type:find "^herald%." and not is_event[rule.type] then
        found:warn(found.place(rule.origin), ("herald raises no %s%s: there are %s"):format(
          quoted(rule.type), meant(rule.type, EVENTS), table.concat(EVENTS, ", ")))
      end
    end
  end
end

-- It is called here, without a queue.
local function is_local(handler, known)
  return is_event[handler.type] and not handler.queue and not known.types[key_of(handler.type)]
end

-- Handlers ----------------------------------------------------------------------

-- Every queue has a handler of its own for the pair: the one for any queue is never called.
local function is_shadowed(handler, rules, known)
  for _, subscription in ipairs(rules.subscriptions) do
    if not known.handlers[key_of(handler.type, handler.order_type, subscription.queue)] then
      return false
    end
  end
  return true
end

-- Returns true when it said something.
local function judge_handler(handler, rules, queues, known, found)
  local place = found.place(handler.origin)
  if is_local(handler, known) then return true end
  if #queues == 0 then
    found:warn(place, ("the handler for %s is never called: there is no herald.subscribe"):format(
      pair(handler)))
  elseif handler.queue and not known.queues[key_of(handler.queue)] then
    found:warn(place, ("the handler for %s is never called: nobody subscribes to its queue %s%s"):format(
      pair(handler), quoted(handler.queue), meant(handler.queue, queues)))
  elseif not handler.queue and is_shadowed(handler, rules, known) then
    found:warn(place, ("the handler for %s is never called: each queue has one of its own for it")
      :format(pair(handler)))
  else
    return false
  end
  return true
end

local function judge_subscription(subscription, known, found)
  if known.served[key_of(false)] or known.served[key_of(subscription.queue)] then return end
  local place = found.place(subscription.origin)
  if subscription.unhandled == "dead" then
    found:note(place, ("no handler takes from %s: all its messages become dead letters, as "
      .. "unhandled = \"dead\" says"):format(quoted(subscription.queue)))
  else
    found:warn(place, ("no handler takes from %s: all its messages are acknowledged and gone"):format(
      quoted(subscription.queue)))
  end
end

-- The embedded broker has one router.
local function judge_order(subscription, found)
  if not subscription.order_by then return end
  if (subscription.arguments or {})["x-single-active-consumer"] then return end
  found:note(found.place(subscription.origin), ("order_by keeps the order within one router: where "
    .. "several take from %s, declare it with x-single-active-consumer"):format(
    quoted(subscription.queue)))
end

-- Emits and routes ----------------------------------------------------------------

-- Is there a route for this type? Without an order type, one for any will do.
function topology.is_routed(type_name, order_type, routes)
  for _, route in ipairs(routes) do
    if route.type == type_name
      and (not route.order_type or not order_type or route.order_type == order_type) then
      return true
    end
  end
  return false
end

-- The same, for many: by the index of the rules.
local function is_routed(type_name, order_type, known)
  if not order_type then return known.types[key_of(type_name)] ~= nil end
  return known.routes[key_of(type_name, false)] or known.routes[key_of(type_name, order_type)]
end

local function judge_emits(constants, routes, known, found)
  local types = names_of(routes, "type")
  for _, constant in ipairs(constants) do
    -- An order type that is computed may be any.
    if constant.kind == "emit" and not is_routed(constant.text, constant.order_type, known) then
      local what = quoted(constant.text)
      if constant.order_type and known.types[key_of(constant.text)] then
        what = ("%s, order type %s"):format(what, quoted(constant.order_type))
      end
      found:warn({ file = constant.file, line = constant.line, column = constant.column },
        ("no herald.route for %s%s: the message will be parked"):format(what,
          meant(constant.text, types)))
    end
  end
end

-- Only the embedded broker ---------------------------------------------------------

-- Exchanges that take from others, whoever's sake it is for: by what they take from.
local function bindings_of(subscriptions)
  local bound = {}
  for _, subscription in ipairs(subscriptions) do
    for i, source in ipairs(subscription.sources or {}) do
      bound[source.exchange] = bound[source.exchange] or {}
      table.insert(bound[source.exchange], { kind = source.kind, routing_key = source.routing_key,
        target = subscription.targets[i], origin = subscription.origin })
    end
  end
  return bound
end

-- Where a message that was sent there comes to, itself included.
local function ways(to, bound)
  local list, seen = { to }, { [to.exchange] = true }
  if to.kind == "queue" then return list end
  for _, at in ipairs(list) do -- which grows
    for _, binding in ipairs(bound[at.exchange] or {}) do
      local target = binding.target
      if not seen[target.exchange] and passes(at.kind, binding.routing_key, to.routing_key) then
        seen[target.exchange] = true
        list[#list + 1] = { kind = target.kind, exchange = target.exchange, routing_key = to.routing_key }
      end
    end
  end
  return list
end

-- Many routes go to few places: what was found out of one is kept.
local function is_heard(to, known)
  if to.kind == "queue" then return known.queues[key_of(to.routing_key)] end
  local key = key_of(to.kind, to.exchange, to.routing_key)
  if known.heard[key] == nil then
    known.heard[key] = false
    for _, way in ipairs(ways(to, known.bound)) do
      for _, subscription in ipairs(known.listeners[way.exchange] or {}) do
        known.heard[key] = known.heard[key] or reaches(way, subscription)
      end
    end
  end
  return known.heard[key]
end

-- A circle passes each message once, so it does no harm; nor does it do anything.
local function judge_circles(bound, found)
  local names, done = {}, {}
  for name in pairs(bound) do names[#names + 1] = name end
  table.sort(names)
  local function follow(name, path)
    if done[name] then return end
    path[#path + 1], path[name] = name, #path + 1
    for _, binding in ipairs(bound[name] or {}) do
      local next_name = binding.target.exchange
      if path[next_name] then
        local circle = { quoted(next_name) }
        for i = #path, path[next_name], -1 do circle[#circle + 1] = quoted(path[i]) end
        found:error(found.place(binding.origin), ("exchanges take from each other in a circle: %s")
          :format(table.concat(circle, " from ")))
      else
        follow(next_name, path)
      end
    end
    path[name], path[#path] = nil, nil
    done[name] = true
  end
  for _, name in ipairs(names) do follow(name, {}) end
end

-- An exchange that others take from here, and that nothing comes to.
local function judge_sources(subscription, known, sent, found)
  for i, source in ipairs(subscription.sources or {}) do
    if not known.anywhere and not known.senders[source.exchange] then
      found:warn(found.place(subscription.origin), ("nothing comes to %s from %s: no herald.route here "
        .. "sends there%s, and the embedded broker has no others"):format(
        quoted(subscription.targets[i].exchange), quoted(source.exchange), meant(source.exchange, sent)))
    end
  end
end

local function judge_route(route, known, exchanges, found)
  if route.unroutable == "drop" then return end
  for _, to in ipairs(route.to) do
    if not is_heard(to, known) then
      local where = to.kind == "queue" and quoted(to.routing_key) or quoted(to.exchange)
      found:warn(found.place(route.origin), ("nobody listens where %s goes: no subscription here takes "
        .. "from %s%s, and the embedded broker has no others (unroutable = \"drop\" if that is "
        .. "meant)"):format(quoted(route.type), where, meant(to.exchange, exchanges)))
    end
  end
end

-- A route whose function chooses may send anywhere.
local function is_fed(subscription, known)
  if known.anywhere or known.sent_queues[key_of("queue", subscription.queue)] then return true end
  for _, from in ipairs(subscription.from) do
    for _, to in pairs(known.senders[from.exchange] or {}) do
      if reaches(to, subscription) then return true end
    end
  end
  return false
end

local function sent_exchanges(routes)
  local all = {}
  for _, route in ipairs(routes) do
    for _, to in ipairs(route.to) do all[#all + 1] = to end
  end
  return names_of(all, "exchange")
end

local function heard_exchanges(subscriptions)
  local all = {}
  for _, subscription in ipairs(subscriptions) do
    for _, from in ipairs(subscription.from) do all[#all + 1] = from end
    for _, source in ipairs(subscription.sources or {}) do all[#all + 1] = source end
  end
  return names_of(all, "exchange")
end

local function names_types_itself(subscriptions)
  for _, subscription in ipairs(subscriptions) do
    if subscription.envelope == "function" then return true end
  end
  return false
end

local function judge_headers(rule, destinations, found)
  for _, d in ipairs(destinations) do
    if d.kind == "headers" then
      found:error(found.place(rule.origin), ("%s is a headers exchange, which the embedded broker "
        .. "has not: it needs RabbitMQ (the setting broker), or a topic exchange"):format(
        quoted(d.exchange)))
    end
  end
end

-- What the embedded broker has not, or takes no notice of.
local function judge_for_rabbitmq(rules, found)
  for _, route in ipairs(rules.routes) do judge_headers(route, route.to, found) end
  for _, subscription in ipairs(rules.subscriptions) do
    judge_headers(subscription, subscription.from, found)
    judge_headers(subscription, subscription.sources or {}, found)
    for _, name in ipairs { "arguments", "priority", "exclusive" } do
      if subscription[name] then
        found:note(found.place(subscription.origin), ("%s of %s: the embedded broker takes no notice "
          .. "of it"):format(name, quoted(subscription.queue)))
      end
    end
  end
end

-- A folder that only sends or only listens is one of several services; on the embedded broker
-- it is incomplete on purpose.
local function judge_embedded(rules, told, known, found)
  if #rules.routes == 0 or #rules.subscriptions == 0 then return end
  local heard, sent = heard_exchanges(rules.subscriptions), sent_exchanges(rules.routes)
  for _, route in ipairs(rules.routes) do judge_route(route, known, heard, found) end
  for _, subscription in ipairs(rules.subscriptions) do
    judge_sources(subscription, known, sent, found)
    if not is_fed(subscription, known) then
      local from = subscription.from[1]
      found:warn(found.place(subscription.origin), ("nothing comes to %s: no herald.route here sends "
        .. "to it%s, and the embedded broker has no others"):format(quoted(subscription.queue),
        from and meant(from.exchange, sent) or ""))
    end
  end
  if names_types_itself(rules.subscriptions) then return end
  local types = names_of(rules.routes, "type")
  for _, handler in ipairs(rules.handlers) do
    local order_type = handler.order_type ~= "*" and handler.order_type or nil
    if not told[handler] and handler.type ~= "*"
      and not is_routed(handler.type, order_type, known) then
      found:warn(found.place(handler.origin), ("the handler for %s is never called: no herald.route "
        .. "here is for that%s, and the embedded broker has no others"):format(pair(handler),
        meant(handler.type, types)))
    end
  end
end

-- All destinations of the routes, each once.
local function destinations(routes, known)
  local list, seen = {}, {}
  for _, route in ipairs(routes) do
    known.anywhere = known.anywhere or #route.to == 0
    for _, to in ipairs(route.to) do
      local key = key_of(to.kind, to.exchange, to.routing_key)
      if not seen[key] then list[#list + 1] = to end
      seen[key] = true
    end
  end
  return list
end

-- Who subscribes to an exchange, each queue once for it.
local function listeners_of(subscriptions)
  local listeners = {}
  for _, subscription in ipairs(subscriptions) do
    local seen = {}
    for _, from in ipairs(subscription.from) do
      if not seen[from.exchange] then
        listeners[from.exchange] = listeners[from.exchange] or {}
        table.insert(listeners[from.exchange], subscription)
      end
      seen[from.exchange] = true
    end
  end
  return listeners
end

-- The rules by their names: each rule is judged in a time that does not grow with the others.
local function index(rules)
  local known = { heard = {}, anywhere = false }
  known.handlers = set_of(rules.handlers, "type", "order_type", "queue")
  known.served = set_of(rules.handlers, "queue")
  known.queues = set_of(rules.subscriptions, "queue")
  known.types = set_of(rules.routes, "type")
  known.routes = set_of(rules.routes, "type", "order_type")
  known.listeners = listeners_of(rules.subscriptions)
  local sent = destinations(rules.routes, known)
  known.sent_queues = set_of(sent, "kind", "routing_key")
  known.bound = bindings_of(rules.subscriptions)
  known.senders = {}
  for _, to in ipairs(sent) do
    for _, way in ipairs(ways(to, known.bound)) do
      known.senders[way.exchange] = known.senders[way.exchange] or {}
      table.insert(known.senders[way.exchange], way)
    end
  end
  return known
end

function topology.judge(rules, broker, found)
  local queues, told, known = names_of(rules.subscriptions, "queue"), {}, index(rules)
  for _, handler in ipairs(rules.handlers) do
    told[handler] = judge_handler(handler, rules, queues, known, found)
  end
  for _, subscription in ipairs(rules.subscriptions) do judge_subscription(subscription, known, found) end
  judge_events(rules, found)
  judge_circles(known.bound, found)
  judge_emits(rules.constants, rules.routes, known, found)
  if broker ~= "embedded" then
    for _, subscription in ipairs(rules.subscriptions) do judge_order(subscription, found) end
  end
  if broker == "embedded" then
    judge_for_rabbitmq(rules, found)
    judge_embedded(rules, told, known, found)
  end
end

return topology
