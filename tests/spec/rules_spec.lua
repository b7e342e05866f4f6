-- What herald.route, herald.subscribe and herald.on accept, and in which words they refuse.

local helper = require "helper"
local nearest = require "herald.nearest"

local added

local native = { duration = helper.core.duration }
function native.add_route(...) added[#added + 1] = { "route", ... } end
function native.add_subscription(...) added[#added + 1] = { "subscription", ... } end
function native.add_handler(...) added[#added + 1] = { "handler", ... } end

local path = assert(package.searchpath("herald.rules", package.path))
local rules = assert(loadfile(path, "t", _G))(native, nearest)

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
    assert.same({ { "route", AT, "t", nil, { kind = "topic", exchange = "e", routing_key = "k" },
      "park" } }, added)
  end)

  it("retries what no queue takes, unless it is told otherwise", function()
    rules.route(AT, { type = "t", to = to })
    assert.equal("retry", added[1][6])
  end)

  it("takes an order type as text or as a whole number", function()
    rules.route(AT, { type = "t", order_type = 60201, to = to })
    rules.route(AT, { type = "t", order_type = "60201", to = to })
    rules.route(AT, { type = "t", order_type = "*", to = to })
    assert.same({ "60201", "60201", nil }, { added[1][4], added[2][4], added[3][4] })
    refused("order_type in herald.route is the float 1.5: write a string or a whole number",
      "route", { type = "t", order_type = 1.5, to = to })
  end)

  it("refuses what it does not know, and suggests", function()
    refused("herald.route takes a table, not a string", "route", "t")
    refused("unknown key 'typ' in herald.route: did you mean 'type'?", "route", { typ = "t" })
    refused("unknown key 'zzzzzzz' in herald.route (known: order_type, to, type, unroutable)",
      "route", { zzzzzzz = 1 })
    refused("herald.route takes named fields: there is an integer among the keys", "route", { "t" })
    refused('unroutable in herald.route is "dorp", not one of "retry", "park", "drop"', "route",
      { type = "t", to = to, unroutable = "dorp" })
  end)

  it("needs a type and a destination", function()
    refused("type in herald.route is missing", "route", { to = to })
    refused('type in herald.route is "*": a route is for one type', "route", { type = "*", to = to })
    for _, wrong in ipairs { "e", { kind = "fanout", exchange = "e", routing_key = "" } } do
      local ok, why = pcall(rules.route, AT, { type = "t", to = wrong })
      assert.is_false(ok)
      assert.matches("^rules/a.lua:7: to in herald.route is a %a+, not a destination: write herald", why)
    end
    local _, why = pcall(rules.route, AT, { type = "t" })
    assert.matches("^rules/a.lua:7: to is missing in herald.route: write herald.fanout", why)
  end)

  it("takes one destination, no list and no function", function()
    for what, wrong in pairs { ["a list"] = { to, to }, ["a function"] = print } do
      local ok, why = pcall(rules.route, AT, { type = "t", to = wrong })
      assert.is_false(ok)
      assert.truthy(why:find("to in herald.route is " .. what .. ": it takes one destination", 1, true))
    end
  end)
end)

describe("herald.subscribe", function()
  local function subscribed(spec)
    rules.subscribe(AT, spec)
    local _, origin, queue, from, queue_type, prefetch, unhandled, retry = table.unpack(added[#added], 1, 8)
    assert.equal(AT, origin)
    return { queue = queue, from = from, queue_type = queue_type, prefetch = prefetch,
      unhandled = unhandled, retry = retry }
  end

  it("has defaults", function()
    assert.same({
      queue = "q", from = {}, prefetch = 500, unhandled = "ack",
      retry = { attempts = 10, delays = { 1000 }, factor = 2, max_delay = 3600000, jitter = 0.1,
        max_age = 0 },
    }, subscribed { queue = "q" })
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

  local wrong = {
    { "queue in herald.subscribe is missing", {} },
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
    assert.same({ { "handler", AT, "t", "60201", handler }, { "handler", AT, "t", "*", handler },
      { "handler", AT, "*", "*", handler } }, added)
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
