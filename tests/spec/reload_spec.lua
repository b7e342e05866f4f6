local helper = require "helper"
local core = require "herald.core"
local reload = require "cli.reload"

describe("herald reload", function()
  before_each(function() helper.enter("return {}", { ["shop/herald.lua"] = "return {}" }) end)
  after_each(helper.leave)

  local asked, from -- what the router was asked, and where

  -- Runs it on the facts of an answer; returns its exit code (nil: done), its problem, and what it
  -- printed.
  local function run(facts, args)
    asked = {}
    helper.stub("ask", function(...)
      asked[#asked + 1], from = { ... }, core.getcwd()
      return select(2, ...) == '{"ask":"nowhere"}' and { { asked = true } } or facts
    end)
    local results, out = helper.caught(reload.run, args or {})
    return results[1], results[2], out
  end

  local unchanged <const> = { outcome = "unchanged", generation = 4, hash = "abc" }
  local reloaded <const> = { outcome = "reloaded", generation = 5, hash = "def" }
  local would <const> = { outcome = "would reload", generation = 5, hash = "def" }

  local function changed(change, what, name, where)
    return { changed = { change = change, what = what, name = name, where = where } }
  end

  it("asks the router of the folder, and waits for it", function()
    run({ unchanged }, { directory = "shop", dry_run = true, trial = "50" })
    assert.matches("/router/shop$", from)
    assert.same({ { "herald.sock", '{"ask":"reload","dry_run":true,"trial":50}', 60000 } }, asked)
    run { unchanged }
    assert.same({ { "herald.sock", '{"ask":"reload","dry_run":false,"trial":0}', 60000 },
      { "herald.sock", '{"ask":"nowhere"}', 60000 } }, asked)
  end)

  it("says that nothing changed", function()
    local code, problem, out = run { unchanged }
    assert.is_nil(code)
    assert.is_nil(problem)
    assert.equal("unchanged: generation 4 (abc)\n", out)
  end)

  it("shows what changed, and where", function()
    local _, _, out = run { reloaded,
      changed("changed", "file", "rules/a.lua", "rules/a.lua"),
      changed("added", "subscription", "q2", "rules/a.lua:7"),
      changed("removed", "handler", "paid 60201", "rules/a.lua:12"),
      changed("changed", "setting", "retry", "herald.lua"),
      { takes_away = { what = "the handler of", name = "paid 60201" } },
      { restart = "store, name" } }
    assert.equal("reloaded: generation 5 (def)\n"
      .. "  changed  file          rules/a.lua\n"
      .. "  added    subscription  q2  (rules/a.lua:7)\n"
      .. "  removed  handler       paid 60201  (rules/a.lua:12)\n"
      .. "  changed  setting       retry  (herald.lua)\n"
      .. "  warning  takes away    the handler of paid 60201\n"
      .. "  changed, but needs a restart: store, name\n", out)
  end)

  local function differs(now, next)
    return { differs = { message_id = "m-1", queue = "q1", type = "paid", order_type = "60201",
      now = now, next = next } }
  end

  local function did(what, ...)
    return { what = what, detail = { ... } }
  end

  local TRIAL <const> = { would, { trial = { run = 50, differing = 1, left_out = 2 } },
    differs({ did("outcome", "done", "") },
      { did("outcome", "failed", "rules/a.lua:3: no"), did("statement", "2", "update\n\tt") }) }

  it("shows what a trial says", function()
    local _, _, out = run(TRIAL)
    assert.matches("^would reload: generation 5 %(def%)\ntrial: 50 of the last messages run with "
      .. "both generations, 1 differ, 2 left out", out)
    assert.matches("message m%-1 of q1, paid 60201\n", out)
    assert.matches("now +outcome +done", out)
    assert.matches("next +outcome +failed  rules/a.lua:3: no\n", out)
    assert.matches("next +statement +2  update\\n\\tt\n", out)
  end)

  it("shows when an emit is due, its key, and what is cancelled", function()
    local _, _, out = run { would, { trial = { run = 50, differing = 1, left_out = 0 } },
      differs({ did("emit", "close", "16", "", "", "due_at=5", "", "due_at=1764000060000", "key", "close-16") },
        { did("emit", "close", "16", "", "", "", "", "key", "close-16"), did("cancel", "close-16") }) }
    assert.matches("now +emit +close  16 +due_at=5 +due 2025%-11%-24T16:01:00%.000Z  key  close%-16\n", out)
    assert.matches("next +emit +close  16 +key  close%-16\n", out)
    assert.matches("next +cancel +close%-16\n", out)
  end)

  it("says which routes lead nowhere, once the broker has told", function()
    local times
    local function told(args)
      times = 0
      helper.stub("ask", function(_, question)
        if question ~= '{"ask":"nowhere"}' then return { unchanged } end
        times = times + 1
        local route = { type = "paid", order_type = "*", to = 'queue "q"', where = "rules/a.lua:7",
          what_now = "subscribe" }
        return times < 3 and { { asked = false } }
          or { { nowhere = route }, { nowhere_more = 7 }, { asked = true } }
      end)
      local results, out = helper.caught(reload.run, args)
      assert.is_nil(results[1])
      return out
    end
    assert.equal("unchanged: generation 4 (abc)\n"
      .. "  warning  route         paid * leads to queue \"q\": subscribe  (rules/a.lua:7)\n"
      .. "  warning  and 7 more routes lead to no queue\n", told {})
    assert.equal(3, times)
    assert.truthy(told({ json = true }):find('"nowhere":[{"type":"paid","order_type":null,'
      .. '"to":"queue \\"q\\"","where":"rules/a.lua:7","what_now":"subscribe"}],"nowhere_more":7', 1, true))
    told { dry_run = true } -- nothing was taken up
    assert.equal(0, times)
  end)

  it("prints JSON", function()
    local _, _, out = run({ reloaded, changed("added", "subscription", "q2", "rules/a.lua:7"),
      { restart = "store" } }, { json = true })
    assert.equal('{"outcome":"reloaded","generation":5,"hash":"def","changes":[{"change":"added",'
      .. '"what":"subscription","name":"q2","where":"rules/a.lua:7"}],"takes_away":[],"restart":"store","unusable":null,'
      .. '"nowhere":[],"nowhere_more":0,"trial":null}\n', out)
    _, _, out = run({ unchanged }, { json = true })
    assert.equal('{"outcome":"unchanged","generation":4,"hash":"abc","changes":[],"takes_away":[],"restart":null,"unusable":null,'
      .. '"nowhere":[],"nowhere_more":0,"trial":null}\n', out)
    _, _, out = run(TRIAL, { json = true })
    assert.truthy(out:find('"trial":{"run":50,"differing":1,"left_out":2,"differs":[{"message_id":'
      .. '"m-1","queue":"q1","type":"paid","order_type":"60201","now":[{"what":"outcome",'
      .. '"detail":"done "}],"next":[', 1, true), out)
  end)

  it("ends with 1 and the place when the rules cannot load", function()
    local code, problem, out = run { { error = "rules/b.lua:3: unexpected symbol near '='" } }
    assert.same({ 1, "nothing was reloaded: rules/b.lua:3: unexpected symbol near '='", "" },
      { code, problem, out })
    code, problem, out = run({ { error = "no" } }, { json = true })
    assert.same({ 1, "nothing was reloaded: no", '{"outcome":"refused","error":"no"}\n' },
      { code, problem, out })
  end)

  it("lets no terminal sequence through", function()
    local _, problem = run { { error = "rules/b.lua:3: \27[2J" } }
    assert.is_nil(problem:find("\27", 1, true))
    local _, _, out = run { reloaded, changed("added", "handler", "\27[2J *", "rules/a.lua:7") }
    assert.is_nil(out:find("\27", 1, true))
  end)

  it("ends with 1 when no router runs here", function()
    local results = helper.caught(reload.run, {})
    local code, problem = results[1], results[2]
    assert.equal(1, code)
    assert.matches("^no router listens on herald.sock: .*herald check", problem)
  end)

  it("ends with 1 for an answer of another version", function()
    local code, problem = run { { hello = true } }
    assert.same({ 1, "the router gave no answer that can be read" }, { code, problem })
  end)

  it("refuses what is no number of messages", function()
    for _, number in ipairs { "0", "-1", "x", "10001", "1.5" } do
      local code, problem = run({}, { trial = number })
      assert.equal(2, code)
      assert.truthy(problem:find(("--trial is %q"):format(number), 1, true), problem)
      assert.is_nil(helper.call "ask")
    end
  end)

  it("is bad usage in a folder that does not exist", function()
    local code, problem = run({}, { directory = "nowhere" })
    assert.equal(2, code)
    assert.matches("^no folder nowhere: ", problem)
  end)
end)
