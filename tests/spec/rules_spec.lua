-- What herald.route, herald.subscribe and herald.on accept, and in which words they refuse.

local core = require "herald.core"
local nearest = require "herald.nearest"

local added

local null = setmetatable({}, { __name = "null" })
local native = { duration = core.duration, place = function() return "rules/here.lua:1" end }
function native.is_text(text) return not text:find("\0", 1, true) and utf8.len(text) ~= nil end
function native.retry()
  return { attempts = 10, delays = { 1000 }, factor = 2, max_delay = 3600000, jitter = 0.1,
    max_age = 0 }
end
for _, kind in ipairs { "route", "subscription", "handler" } do
  native["add_" .. kind] = function(origin, declared, calls)
    added[#added + 1] = { kind = kind, origin = origin, declared = declared, calls = calls }
  end
end

local path = assert(package.searchpath("herald.rules", package.path))
local envelopes_path = assert(package.searchpath("herald.envelopes", package.path))
local envelopes = assert(loadfile(envelopes_path, "t", _G))(function() return {} end,
  function() return "" end, function() return 0 end, null)
local arguments_path = assert(package.searchpath("herald.arguments", package.path))
local arguments_of = assert(loadfile(arguments_path, "t", _G))(nearest)
local reading_path = assert(package.searchpath("herald.reading", package.path))
local reading_of = assert(loadfile(reading_path, "t", _G))(nearest, null, envelopes)
local rules = assert(loadfile(path, "t", _G))(native, nearest, arguments_of, reading_of)

local AT = "rules/a.lua:7"

local function refused(text, name, ...)
  local ok, why = pcall(rules[name], AT, ...)
  assert.is_false(ok, "was accepted")
  assert.equal(AT .. ": " .. text, why)
end

before_each(function() added = {} end)

describe("a destination", function()
  it("shows what it is", function()
    assert.equal('herald.fanout "e"', tostring(rules.fanout(AT, "e")))
    assert.equal('herald.direct "e"', tostring(rules.direct(AT, "e", "k")))
    assert.equal('herald.topic "e"', tostring(rules.topic(AT, "e", "a.#")))
    assert.equal('herald.headers "e"', tostring(rules.headers(AT, "e", { k = "v" })))
    assert.equal('herald.queue "q"', tostring(rules.queue(AT, "q")))
  end)

  it("cannot be changed", function()
    local d = rules.fanout(AT, "e")
    assert.error_matches(function() d.exchange = "x" end, "read%-only")
    assert.equal("e", d.exchange)
    assert.equal("herald.destination", getmetatable(d))
  end)

  it("may have an empty routing key, but no empty name", function()
    assert.equal("", rules.direct(AT, "e", "").routing_key)
    refused("the exchange of herald.direct is empty", "direct", "", "k")
    refused("the name in herald.queue is empty", "queue", "")
  end)

  it("has a name of text", function()
    refused("the exchange of herald.fanout is missing", "fanout")
    refused("the exchange of herald.fanout is an integer, not a string", "fanout", 1)
    refused("the exchange of herald.topic is longer than 255 bytes", "topic", ("x"):rep(256), "k")
    refused("the name in herald.queue is not UTF-8 text", "queue", "\xff")
    refused("the name in herald.queue is not UTF-8 text", "queue", "a\0b")
    refused("the routing key of herald.topic is missing", "topic", "e")
    assert(rules.queue(AT, ("x"):rep(255)))
    assert(rules.queue(AT, "付款"))
  end)

  it("that is a fanout has no routing key", function()
    refused("herald.fanout takes an exchange and no routing key: a fanout ignores it", "fanout",
      "e", "k")
  end)
end)

describe("herald.route", function()
  local to = rules.fanout(AT, "e")

  it("adds a route", function()
    rules.route(AT, { type = "t", to = rules.topic(AT, "e", "k"), unroutable = "park" })
    assert.same({ { kind = "route", origin = AT, declared = { type = "t", unroutable = "park",
      to = { { kind = "topic", exchange = "e", routing_key = "k" } } } } }, added)
  end)

  it("retries what no queue takes, unless it is told otherwise", function()
    rules.route(AT, { type = "t", to = to })
    assert.equal("retry", added[1].declared.unroutable)
  end)

  it("takes an order type as text or as a whole number", function()
    rules.route(AT, { type = "t", order_type = 60201, to = to })
    rules.route(AT, { type = "t", order_type = "60201", to = to })
    rules.route(AT, { type = "t", order_type = "*", to = to })
    local function order(n) return added[n].declared.order_type end
    assert.same({ "60201", "60201", nil }, { order(1), order(2), order(3) })
    refused("order_type in herald.route is the float 1.5: write a string or a whole number",
      "route", { type = "t", order_type = 1.5, to = to })
  end)

  it("refuses what it does not know, and suggests", function()
    refused("herald.route takes a table, not a string", "route", "t")
    refused("unknown key 'typ' in herald.route: did you mean 'type'?", "route", { typ = "t" })
    refused("unknown key 'zzzzzzz' in herald.route (known: format, order_by, order_type, to, type, unroutable)",
      "route", { zzzzzzz = 1 })
    refused("herald.route takes named fields: there is an integer among the keys", "route", { "t" })
    refused('format in herald.route is "nest", not one of "nestjs", "celery", "cloudevents", '
      .. '"masstransit", "cap", "symfony", "spring"', "route", { type = "t", to = to, format = "nest" })
    refused('unroutable in herald.route is "dorp", not one of "retry", "park", "drop"', "route",
      { type = "t", to = to, unroutable = "dorp" })
  end)

  it("needs a type and a destination", function()
    refused("type in herald.route is missing", "route", { to = to })
    refused('type in herald.route is "*": a route is for one type', "route", { type = "*", to = to })
    for _, wrong in ipairs { "e", { kind = "fanout", exchange = "e", routing_key = "" } } do
      local ok, why = pcall(rules.route, AT, { type = "t", to = wrong })
      assert.is_false(ok)
      assert.matches("^rules/a.lua:7: to in herald.route is a %a+, not a destination", why)
    end
    local _, why = pcall(rules.route, AT, { type = "t" })
    assert.matches("^rules/a.lua:7: to is missing in herald.route: write herald.fanout", why)
  end)

  it("takes a list without duplicates", function()
    local q = rules.queue(AT, "q")
    rules.route(AT, { type = "t", to = { to, q } })
    assert.same({ { kind = "fanout", exchange = "e", routing_key = "" },
      { kind = "queue", exchange = "", routing_key = "q" } }, added[1].declared.to)
    refused('to in herald.route is a list whose items 1 and 3 are the same: herald.fanout "e"',
      "route", { type = "t", to = { to, q, to } })
    local many = {}
    for i = 1, 64 do many[i] = rules.queue(AT, "q" .. i) end
    rules.route(AT, { type = "t", to = many })
    many[65] = to
    refused("to in herald.route is a list of 65: it takes at most 64", "route",
      { type = "t", to = many })
    for _, wrong in ipairs { {}, { to, 5 }, { to, x = to }, { [2] = to } } do
      assert.is_false((pcall(rules.route, AT, { type = "t", to = wrong })))
    end
  end)

  it("takes a function, whose answers are checked at each message", function()
    local answer
    local function choose(msg) return msg and answer end
    rules.route(AT, { type = "t", to = choose })
    assert.same({ type = "t", to = {}, to_function = choose, unroutable = "retry" }, added[1].declared)
    local chooser = added[1].calls.to_function
    answer = to
    assert.same({ to = { { kind = "fanout", exchange = "e", routing_key = "" } } }, chooser {})
    answer = { to, rules.queue(AT, "q") }
    assert.equal("q", chooser({}).to[2].routing_key)
    for _, wrong in ipairs { "q", {}, 5, { to, to } } do
      answer = wrong
      local ok, why = pcall(chooser, {})
      assert.is_false(ok)
      assert.matches("^rules/a.lua:7: the function to of herald.route returned ", why)
    end
  end)
end)

describe("herald.subscribe", function()
  local function subscribed(spec)
    rules.subscribe(AT, spec)
    local last = added[#added]
    assert.equal(AT, last.origin)
    return last.declared, last.calls
  end

  it("has defaults", function()
    local declared, calls = subscribed { queue = "q" }
    assert.same({
      queue = "q", from = {}, queue_type = "any", prefetch = 500, unhandled = "ack",
      retry = { attempts = 10, delays = { 1000 }, factor = 2, max_delay = 3600000, jitter = 0.1,
        max_age = 0 },
      envelope = "auto", identity_in_body = false, pause_after = 20,
    }, declared)
    assert.same({}, calls)
  end)

  it("passes arguments on, well-known or not, in order of name", function()
    local given = { ["x-message-deduplication"] = true, ["x-max-length-foo"] = 1, ["x-max-length"] = 5,
      ["x-delivery-limit"] = -1, ["x-dead-letter-routing-key"] = "" }
    assert.same({ { name = "x-dead-letter-routing-key", value = "" },
      { name = "x-delivery-limit", value = -1 }, { name = "x-max-length", value = 5 },
      { name = "x-max-length-foo", value = 1 },
      { name = "x-message-deduplication", value = true } },
      subscribed({ queue = "q", arguments = given }).arguments)
    assert.is_nil(subscribed({ queue = "q", arguments = {} }).arguments)
  end)

  it("binds once for each pattern of a list, and with arguments", function()
    local from = subscribed({ queue = "q", from = { rules.topic(AT, "t", { "a.*", "b.#" }),
      rules.headers(AT, "h", { ["x-match"] = "any", k = "v" }) } }).from
    assert.same({ { kind = "topic", exchange = "t", routing_key = "a.*" },
      { kind = "topic", exchange = "t", routing_key = "b.#" },
      { kind = "headers", exchange = "h", routing_key = "", arguments = {
        { name = "k", value = "v" }, { name = "x-match", value = "any" } } } }, from)
  end)

  it("binds exchanges to others, those to others again", function()
    local s = subscribed { queue = "q", from = { rules.fanout(AT, "orders"):from {
      rules.topic(AT, "events", { "a.*", "b" }):from(rules.headers(AT, "all", { k = "v" })),
      rules.direct(AT, "d", "k") }, rules.fanout(AT, "plain") } }
    assert.same({ "orders", "plain" }, { s.from[1].exchange, s.from[2].exchange })
    local takes = {}
    for i, source in ipairs(s.sources) do
      local target = s.targets[i]
      takes[i] = ("%s %s < %s %s %s"):format(target.kind, target.exchange, source.kind, source.exchange,
        source.arguments and source.arguments[1].name or source.routing_key)
    end
    assert.same({ "fanout orders < topic events a.*", "fanout orders < topic events b",
      "topic events < headers all k", "fanout orders < direct d k" }, takes)
    assert.is_nil(subscribed({ queue = "q", from = rules.fanout(AT, "x") }).sources)
    local x = rules.fanout(AT, "x")
    assert.is_false(rawequal(x:from(rules.fanout(AT, "y")), x)) -- what was there stays as it was
    assert.is_nil(subscribed({ queue = "q", from = x }).sources)
    refused("to in herald.route is herald.fanout with others that it takes from: those are of bindings, "
      .. "for from in herald.subscribe", "route", { type = "t", to = x:from(rules.fanout(AT, "y")) })
    for given, words in pairs { [1] = "not an integer", [rules.queue(AT, "q")] = "not a queue" } do
      local ok, why = pcall(x.from, x, given)
      assert.is_false(ok)
      assert.matches("herald.fanout:from takes exchanges: .*" .. words, why)
    end
    assert.matches("a queue is bound by from in herald.subscribe",
      select(2, pcall(function() return rules.queue(AT, "q"):from(x) end)))
    assert.matches("with a colon", select(2, pcall(function() return x.from(x ~= nil) end)))
  end)

  it("has a consumer with a priority, or alone", function()
    local s = subscribed { queue = "q", priority = 5, exclusive = true, queue_type = "classic" }
    assert.same({ 5, true }, { s.priority, s.exclusive })
    s = subscribed { queue = "q", exclusive = false }
    assert.same({}, { s.priority, s.exclusive })
  end)

  it("listens to one exchange or to several", function()
    local a, b = rules.fanout(AT, "a"), rules.topic(AT, "b", "#")
    assert.equal("a", subscribed({ queue = "q", from = a }).from[1].exchange)
    local from = subscribed({ queue = "q", from = { a, b } }).from
    assert.same({ "a", "b", 2 }, { from[1].exchange, from[2].exchange, #from })
  end)

  it("takes delays as durations, seconds, or a list", function()
    local function delays(delay)
      return subscribed({ queue = "q", retry = { delay = delay } }).retry.delays
    end
    assert.same({ 30000 }, delays "30s")
    assert.same({ 1500 }, delays(1.5))
    assert.same({ 1000, 60000 }, delays { "1s", "1m" })
    refused('delay in the retry of herald.subscribe is "1 hour", not a duration: write a whole '
      .. 'number with ms, s, m, h or d, such as "30s"', "subscribe",
      { queue = "q", retry = { delay = "1 hour" } })
    refused("delay in the retry of herald.subscribe is a list of 0: it takes 1 to 16 durations",
      "subscribe", { queue = "q", retry = { delay = {} } })
  end)

  it("takes functions", function()
    local function f() end
    local s, calls = subscribed { queue = "q", before = f, after = f, envelope = "raw" }
    assert.same({ "raw", f, f }, { s.envelope, s.before, s.after })
    assert.same({ before = f, after = f }, calls)
    for _, name in ipairs { "before", "after", "identity" } do
      refused(name .. " in herald.subscribe is a table, not a function", "subscribe",
        { queue = "q", [name] = {} })
    end
    local names = 'write "auto", "raw", a function, or one of "cap", "celery", "cloudevents", '
      .. '"masstransit", "moleculer", "nestjs", "node-ts", "nservicebus", "spring", "symfony"'
    refused("envelope in herald.subscribe is a boolean: " .. names, "subscribe",
      { queue = "q", envelope = true })
    refused('envelope in herald.subscribe is "selery" (did you mean "celery"?): ' .. names,
      "subscribe", { queue = "q", envelope = "selery" })
  end)

  it("takes a named envelope and paths of keys", function()
    local s, calls = subscribed { queue = "q", envelope = "celery", order_type = "body.kind",
      business_key1 = "headers.tenant" }
    assert.same({ "function", "celery", envelopes.celery, "headers.tenant", "body.kind" },
      { s.envelope, s.envelope_name, s.envelope_function, s.business_key1, s.business_key2 })
    assert.is_function(calls.envelope_function)
    for _, path in ipairs { "kind", "body", "body.", "body..x", "body.x.", "query.x", "" } do
      refused(('business_key3 in herald.subscribe is "%s": write a path such as "body.order.id" or '
        .. '"headers.tenant"'):format(path), "subscribe", { queue = "q", business_key3 = path })
    end
    refused("herald.subscribe has order_type and business_key2: they are two names of one thing",
      "subscribe", { queue = "q", order_type = "body.a", business_key2 = "body.b" })
  end)

  it("takes how many failures make a pause", function()
    local function after(n) return subscribed({ queue = "q", pause_after = n }).pause_after end
    assert.same({ 20, 0, 0, 2, 1000 }, { after(nil), after(false), after(0), after(2), after(1000) })
    for _, wrong in ipairs { 1, -1, 1001, 2.5, "20", true } do
      assert.is_false((pcall(after, wrong)))
    end
    refused("pause_after in herald.subscribe (false: never) is 1: it must be between 2 and 1000", "subscribe",
      { queue = "q", pause_after = 1 })
  end)

  it("checks what an envelope returns", function()
    local found
    local function envelope() return found end
    local s, calls = subscribed { queue = "q", envelope = envelope }
    assert.same({ "function", envelope }, { s.envelope, s.envelope_function })
    found = { type = "t", order_type = 7, business_key3 = null, id = "i", body = { 1 } }
    local texts, body = calls.envelope_function("raw", {})
    assert.same({ type = "t", business_key2 = "7", id = "i" }, texts)
    assert.same({ 1 }, body)
    for _, wrong in ipairs { {}, { typ = "t" }, { type = "" }, { type = "t", id = {} },
      { type = "t", order_type = "a", business_key2 = "b" } } do
      found = wrong
      assert.is_false((pcall(calls.envelope_function, "raw", {})))
    end
  end)

  it("checks what an identity returns", function()
    local id
    local _, calls = subscribed { queue = "q", identity = function() return id end }
    local identity = calls.identity
    assert.is_nil(identity {})
    id = null
    assert.is_nil(identity {})
    id = 9007199254740993
    assert.equal("9007199254740993", identity {})
    for _, wrong in ipairs { "", 1.5, true, ("x"):rep(256) } do
      id = wrong
      assert.is_false((pcall(identity, {})))
    end
  end)

  local wrong = {
    { "queue in herald.subscribe is missing", {} },
    { "unknown argument 'x-message-tll' in arguments in herald.subscribe: did you mean "
      .. "'x-message-ttl'?", { queue = "q", arguments = { ["x-message-tll"] = 1 } } },
    { "x-single-active-consumer in arguments in herald.subscribe is an integer: it takes a boolean",
      { queue = "q", arguments = { ["x-single-active-consumer"] = 1 } } },
    { "x-delivery-limit in arguments in herald.subscribe is -2: it is at least -1",
      { queue = "q", arguments = { ["x-delivery-limit"] = -2 } } },
    { "priority in herald.subscribe is 1.5, not a whole number", { queue = "q", priority = 1.5 } },
    { "unknown key 'quue' in herald.subscribe: did you mean 'queue'?", { quue = "q" } },
    { "unknown key 'attempt' in the retry of herald.subscribe: did you mean 'attempts'?",
      { queue = "q", retry = { attempt = 3 } } },
    { "the retry of herald.subscribe takes a table, not an integer", { queue = "q", retry = 3 } },
    { "attempts in the retry of herald.subscribe is 0: it must be between 1 and 1000000",
      { queue = "q", retry = { attempts = 0 } } },
    { "attempts in the retry of herald.subscribe is 1.5, not a whole number",
      { queue = "q", retry = { attempts = 1.5 } } },
    { "attempts in the retry of herald.subscribe is a string, not a number",
      { queue = "q", retry = { attempts = "3" } } },
    { "jitter in the retry of herald.subscribe is 2: it must be between 0 and 1",
      { queue = "q", retry = { jitter = 2 } } },
    { "prefetch in herald.subscribe is 0: it must be between 1 and 65535",
      { queue = "q", prefetch = 0 } },
    { 'queue_type in herald.subscribe is "fast", not one of "quorum", "classic"',
      { queue = "q", queue_type = "fast" } },
    { 'unhandled in herald.subscribe is a boolean, not one of "ack", "dead"',
      { queue = "q", unhandled = false } },
    { "from in herald.subscribe is a queue: a queue takes from exchanges; to listen to a queue as "
      .. "it is, leave from out", { queue = "q", from = rules.queue(AT, "other") } },
    { "from in herald.subscribe is one destination or a list of them", { queue = "q", from = {} } },
    { "from in herald.subscribe is one destination or a list of them",
      { queue = "q", from = { rules.fanout(AT, "e"), x = rules.fanout(AT, "f") } } },
  }
  for _, case in ipairs(wrong) do
    it("refuses: " .. case[1], function() refused(case[1], "subscribe", case[2]) end)
  end

  it("refuses a number that is none", function()
    local ok = pcall(rules.subscribe, AT, { queue = "q", retry = { factor = 0 / 0 } })
    assert.is_false(ok)
    ok = pcall(rules.subscribe, AT, { queue = "q", retry = { delay = 0 / 0 } })
    assert.is_false(ok)
    ok = pcall(rules.subscribe, AT, { queue = "q", retry = { delay = -1 } })
    assert.is_false(ok)
  end)
end)

describe("herald.on", function()
  local function handler() end

  it("adds a handler", function()
    rules.on(AT, "t", 60201, handler)
    rules.on(AT, "t", "*", handler)
    rules.on(AT, "*", "*", handler)
    local function on(type_name, order_type)
      return { kind = "handler", origin = AT,
        declared = { type = type_name, order_type = order_type, handler = handler } }
    end
    assert.same({ on("t", "60201"), on("t", "*"), on("*", "*") }, added)
  end)

  it("takes options", function()
    rules.on(AT, "t", "*", handler, { queue = "q", timeout = "2s", retry = { attempts = 3 } })
    local options = added[1].declared
    assert.same({ 2000, "q", 3, 2 },
      { options.timeout, options.queue, options.retry.attempts, options.retry.factor })
    refused("unknown key 'retri' in the options of herald.on: did you mean 'retry'?", "on", "t",
      "*", handler, { retri = {} })
    refused("timeout in herald.on is 0: it must be between 10ms and 5m", "on", "t", "*", handler,
      { timeout = 0 })
    refused("queue in herald.on is empty", "on", "t", "*", handler, { queue = "" })
    refused("attempts in the retry of herald.on is 0: it must be between 1 and 1000000", "on", "t",
      "*", handler, { retry = { attempts = 0 } })
  end)

  it("says how to write it when the order type was forgotten", function()
    refused('herald.on takes a type, an order type and a function: write herald.on("t", "*", '
      .. "function(msg, tx) ... end)", "on", "t", handler)
  end)

  it("refuses what could never match or run", function()
    refused('herald.on("*", "60201") matches nothing: an order type belongs to a type', "on", "*",
      "60201", handler)
    refused("the handler of herald.on is nil, not a function", "on", "t", "*")
    refused("the type of herald.on is missing", "on")
    refused("the order type of herald.on is missing", "on", "t", nil, handler)
    assert.same({}, added)
  end)
end)
