-- herald status: what it prints of the store and of a router that runs.

local helper = require "helper"
local status = require "cli.status"

describe("herald status", function()
  local shop

  after_each(helper.leave)

  -- Returns its exit code (nil: done), its problem, what it printed, and that to stderr.
  local function run(args)
    local results, out, err = helper.caught(status.run, args)
    return results[1], results[2], out, err
  end

  before_each(function()
    shop = helper.enter 'return { store = "shop.db" }'
    local now = os.time() * 1000
    helper.add("herald_outbox", { type = "t", created_at = now - 270000000 }) -- 3 d 3 h
    helper.add("herald_outbox", { type = "t", created_at = now })
    helper.add("herald_retry", { due_at = now, queue = "q", attempts = 1, first_at = now, error = "no" })
    helper.add("herald_dead", { side = "inbox", queue = "q", attempts = 1, error = "no", generation = 1, at = now }, 3)
  end)

  local function running(answer)
    helper.stub("router_pid", 4242)
    helper.stub("ask", { answer })
  end

  it("without a router tells what the store knows", function()
    local _, _, out = run {}
    assert.matches("router +not running\n", out)
    assert.matches("outbox +2 pending, the oldest for 3 d 3 h\n", out)
    assert.matches("dead +3 letters: herald dead list\n", out)
    local _, _, json = run { json = true }
    assert.truthy(json:find('"running":false', 1, true))
    local oldest = json:match '"outbox":{"pending":2,"oldest_ms":(%d+)},"retries":1,"dead":3'
    assert.truthy(oldest and math.tointeger(tonumber(oldest)) >= 270000000, json)
    assert.matches('"store":{"path":"shop.db","wal_bytes":%d+}', json)
    assert.truthy(json:find('"rules":{"generation":null,"hash":null,"error":null', 1, true), json)
  end)

  it("with a router tells how it does", function()
    running { state = "running", generation = 2, hash = "0123", routes = 1,
      subscriptions = 1, handlers = 3, script_memory = 4096, broker_state = "up", broker_error = "", ready = true,
      in_flight = 4, unacked = 5, unacked_bytes = 600, rules_error = "", rules_wait = "",
      counters = { { "handled", 6 }, { "failed", 0 } } }
    local _, _, out = run {}
    assert.matches("router +running\n", out)
    assert.matches("rules +generation 2 %(0123%): 1 routes, 1 subscriptions, 3 handlers, 4 KiB of memory\n", out)
    assert.matches("handled +6", out)
    assert.is_nil(out:find("failed", 1, true))
    local _, _, json = run { json = true }
    assert.truthy(json:find('"generation":2,"hash":"0123"', 1, true), json)
    assert.truthy(json:find('"ready":true,"in_flight":4,"unacked":5,"unacked_bytes":600', 1, true), json)
    assert.truthy(json:find('"counters":{"handled":6,"failed":0}', 1, true), json)
  end)

  it("with a router tells why the last reload was refused", function()
    running { state = "running", generation = 2, hash = "0123", routes = 1, subscriptions = 1,
      handlers = 3, script_memory = 4096, broker_state = "up", ready = true, rules_error = "rules/b.lua:3: no" }
    local _, _, out = run {}
    assert.matches("the last reload was refused: rules/b.lua:3: no\n", out)
    local _, _, json = run { json = true }
    assert.truthy(json:find('"hash":"0123","error":"rules/b.lua:3: no"', 1, true), json)
  end)

  it("with a router tells which subscriptions are paused", function()
    running { state = "running", broker_state = "up", ready = true, paused_for = "",
      stopped_for = "disk is full", paused = {
        { failures = 21, since = 1700000000000, next_probe = 1700000001500, queue = "q one",
          error = "rules/a.lua:3: no such column: x" },
        { failures = 2, since = 1700000000000, next_probe = 1700000001500, queue = "q2",
          error = "bad\twith a tab" } } }
    local _, _, out = run {}
    assert.truthy(out:find("queue q one since 2023-11-14T22:13:20Z, 21 failed alike, tries one at "
      .. "2023-11-14T22:13:21Z: rules/a.lua:3: no such column: x\n", 1, true), out)
    assert.truthy(out:find("queue q2", 1, true), out)
    assert.truthy(out:find("nothing is consumed, the broker keeps it: disk is full", 1, true), out)
    local _, _, json = run { json = true }
    assert.truthy(json:find('"paused":[{"queue":"q one","since":"2023-11-14T22:13:20.000Z",'
      .. '"next_probe":"2023-11-14T22:13:21.500Z","failures":21,'
      .. '"error":"rules/a.lua:3: no such column: x"},', 1, true), json)
  end)

  it("says when the router does not answer", function()
    helper.stub("router_pid", 4242)
    helper.stub("ask", nil, "timed out")
    local code, _, out = run {}
    assert.is_nil(code)
    assert.matches("does not answer: timed out", out)
  end)

  it("fails without a store", function()
    local code, problem = run { store = "other.db" }
    assert.equal(1, code)
    assert.matches("^no store at other%.db: ", problem)
  end)

  it("goes on with the store of a router whose settings are broken by now", function()
    shop:write("herald.lua", "return { storr = 1 }")
    local code, problem = run {}
    assert.equal(2, code)
    assert.matches("did you mean 'store'", problem)
    running { state = "running", store = "other.db", broker_state = "up", ready = true }
    helper.make_store "other.db"
    local err
    code, problem, _, err = run {}
    assert.same({}, { code, problem })
    assert.equal("other.db", helper.call "counts")
    assert.matches("did you mean 'store'.*a router runs here with older settings; its store is other.db\n", err)
  end)
end)
