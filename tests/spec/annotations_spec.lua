-- The editor's annotations say what herald has, and nothing else: both are asked.

local made = require "made"

-- {class = {name = true}} of an annotation file.
local function annotated(path)
  local classes, class = {}, nil
  local of_variable = { herald = "herald", json = "herald.json", log = "herald.log", tx = "herald.tx",
    testing = "herald.testing", router = "herald.testing.router" }
  for line in io.lines(path) do
    local name = line:match("^%-%-%-@class ([%w_.]+)")
    if name then class = name; classes[class] = {} end
    local field = line:match("^%-%-%-@field ([%w_]+)")
    if field then classes[class][field] = true end
    local variable, method = line:match("^function ([%w_]+)[.:]([%w_]+)%(")
    if variable then classes[of_variable[variable]][method] = true end
  end
  return classes
end

local function sorted(set)
  local names = {}
  for name in pairs(set) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, " ")
end

-- "(known: a, b)" or "a b" as "a b".
local function words(text)
  local set = {}
  for name in (text or ""):gmatch("[%w_]+") do set[name] = true end
  return sorted(set)
end

describe("the annotations", function()
  local classes = annotated "scripts/annotations/herald.lua"
  local shop

  after_each(function() shop:remove() end)

  -- What a rule file finds out about names: an error text of `return`, as one line.
  local function asked(code)
    shop = made.folder { ["herald.lua"] = "return {}", ["rules/a.lua"] = [[
      local herald = require "herald"
      local function names(t)
        local list = {}
        for name in pairs(t) do list[#list + 1] = name end
        return table.concat(list, " ")
      end
      local function known(fn, ...)
        local _, why = pcall(fn, ...)
        return why:match("known: ([^)]*)") or why
      end
      local function ask() ]] .. code .. [[ end
      error("it has: " .. ask() .. ".", 0)]] }
    local _, out = shop:herald("check")
    return words(out:match("it has: ([^\n]*)%.\n"))
  end

  it("are Lua", function()
    shop = made.folder {}
    assert.truthy(loadfile "scripts/annotations/herald.lua")
    assert.truthy(loadfile "scripts/annotations/testing.lua")
  end)

  it("name what the module has", function()
    assert.equal(sorted(classes["herald"]), asked "return names(herald)")
  end)

  it("name what its json has", function()
    assert.equal(sorted(classes["herald.json"]), asked "return names(herald.json)")
  end)

  it("name what its log has", function()
    assert.equal(sorted(classes["herald.log"]), asked "return names(herald.log)")
  end)

  it("name the keys of herald.route", function()
    assert.equal(sorted(classes["herald.route_spec"]), asked "return known(herald.route, { zzzzzzzz = 1 })")
  end)

  it("name the keys of herald.subscribe", function()
    assert.equal(sorted(classes["herald.subscription_spec"]),
      asked "return known(herald.subscribe, { zzzzzzzz = 1 })")
  end)

  it("name the keys of a retry policy", function()
    assert.equal(sorted(classes["herald.retry_policy"]),
      asked "return known(herald.subscribe, { queue = 'q', retry = { zzzzzzzz = 1 } })")
  end)

  it("name the options of herald.on", function()
    assert.equal(sorted(classes["herald.handler_options"]),
      asked "return known(herald.on, 't', '*', function() end, { zzzzzzzz = 1 })")
  end)

  -- Its text is read: the module needs the binary around it.
  it("name what herald.testing has", function()
    shop = made.folder {}
    local text = made.read "scripts/herald/testing.lua"
    local of_testing = annotated "scripts/annotations/testing.lua"
    local function found(set, pattern, code)
      for name in (code or text):gmatch(pattern) do set[name] = true end
      return sorted(set)
    end
    local function keys(name)
      return words((text:match("local " .. name .. " <const> = (%b{})"):gsub("= true", "")))
    end
    assert.equal(found({ null = true }, "\nfunction testing%.([%w_]+)"), sorted(of_testing["herald.testing"]))
    assert.equal(found({}, "\nfunction router:([%w_]+)"), sorted(of_testing["herald.testing.router"]))
    assert.equal(keys "START_KEYS", sorted(of_testing["herald.testing.start_options"]))
    assert.equal(keys "MESSAGE_KEYS", sorted(of_testing["herald.testing.message"]))
    assert.equal(keys "DELIVER_KEYS", sorted(of_testing["herald.testing.delivery"]))
    assert.equal(found({}, "\n  ([%w_]+) = {", text:match("local MATCHERS <const> = (%b{})")),
      sorted(of_testing["luassert"]))
  end)

  it("name the fields of a destination", function()
    local wanted = { kind = true, exchange = true, routing_key = true, from = true }
    assert.same(wanted, classes["herald.destination"])
    assert.equal("function", asked "return type(herald.fanout('ex').from)")
    assert.equal("direct ex key", asked "local d = herald.direct('ex', 'key') return d.kind .. ' ' .. d.exchange .. ' ' .. d.routing_key")
  end)

  -- These are known only while a handler runs.
  it("name what messages, tx and tx:emit have", function()
    shop = made.folder { ["herald.lua"] = "return {}", ["rules/a.lua"] = [[
      local herald = require "herald"
      herald.route { type = "t", to = herald.queue "q" }
      herald.subscribe { queue = "q" }
      herald.on("t", "*", function(msg, tx)
        local function known(fn)
          local _, why = pcall(fn)
          return why:match("known: ([^)]*)") or why
        end
        herald.reject(("msg %s; tx %s; emit %s."):format(
          known(function() return msg.zzzzzzzz end), known(function() return tx.zzzzzzzz end),
          known(function() return tx:emit { zzzzzzzz = 1 } end)))
      end)]] }
    assert.equal(0, (shop:herald("emit", "--type", "t")))
    assert.equal(0, (shop:herald("run", "--until-idle")))
    local _, out = shop:shell "sqlite3 herald.db 'select error from herald_dead'"
    local msg, tx, emit = out:match("msg ([^;]*); tx ([^;]*); emit ([^.]*)%.")
    assert.equal(sorted(classes["herald.msg"]), words(msg))
    assert.equal(sorted(classes["herald.tx"]), words(tx))
    assert.equal(sorted(classes["herald.emit_spec"]), words(emit))
  end)
end)
