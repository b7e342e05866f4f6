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
    assert.matches("outbox +2 pending\n +2 to be sent, the first for 3 d 3 h\n", out)
    assert.matches("retries +1 waiting\n +queue q: 1 due for %d+ s: no\n", out)
    assert.matches("dead +3 letters: herald dead groups\n", out)
    local _, _, json = run { json = true }
    assert.truthy(json:find('"running":false', 1, true))
    local oldest, late = json:match '"outbox":{"pending":2,"oldest_ms":(%d+),"late_ms":(%d+),'
    assert.equal(oldest, late)
    assert.is_true(math.tointeger(tonumber(late)) >= 270000000, json)
    assert.truthy(json:find('"fresh":{"rows":2,"more":false,"late_ms":' .. late, 1, true), json)
    assert.matches('"retries":1,"retry_queues":%[{"queue":"q","due":1,"later":0,"behind":0,"late_ms":%d+,'
      .. '"next_due":null,"attempts":1,"error":"no"}%],"dead":3', json)
    assert.matches('"store":{"path":"shop.db","wal_bytes":%d+}', json)
    assert.truthy(json:find('"rules":{"generation":null,"hash":null,"error":null', 1, true), json)
  end)

  it("tells what is in good order from what is not", function()
    local now = os.time() * 1000
    helper.add("herald_outbox", { type = "t", created_at = now, due_at = now + 3600000 }, 4)
    helper.add("herald_outbox", { type = "t", created_at = now - 5000, due_at = now + 60000, attempts = 10,
      refused_at = now - 663000 })
    helper.add("herald_retry", { due_at = now + 60000, queue = "a", attempts = 1, first_at = now, error = "" }, 2)
    local _, _, out = run {}
    assert.matches("\n +1 refused, tried 10 times, since 11 min %d s: herald outbox list\n", out)
    assert.matches("\n +4 scheduled, in good order, the next at %d+", out)
    assert.matches("retries +3 waiting\n +queue a: 2 later, the next at [%dTZ:-]+\n +queue q: 1 due", out)
  end)

  it("counts what the router has sent as in flight", function()
    running { state = "running", cursor = 2, in_flight = 1, broker_state = "up", ready = true }
    local _, _, out = run {}
    assert.matches("\n +1 to be sent, the first for %d+ s\n +1 in flight\n", out)
  end)

  describe("--check", function()
    local well = { state = "running", broker_state = "up", broker_error = "", ready = true, paused_for = "",
      stopped_for = "", store_trouble = "", rules_error = "", rules_wait = "" }

    -- The exit code and the line, of a router that says this besides.
    local function check(said, args)
      local answer = {}
      for name, value in pairs(well) do answer[name] = value end
      for name, value in pairs(said or {}) do answer[name] = value end
      running(answer)
      args = args or {}
      args.check = true
      local code, problem, out = run(args)
      assert.is_nil(problem)
      assert.equal(1, select(2, out:gsub("\n", "")))
      return code, out
    end

    it("is well where nothing is late and nothing dead", function()
      local code, line = check(nil, { max_late = "9d", max_dead = "3" })
      assert.equal(0, code)
      assert.matches("^HERALD OK %- 2 pending, 1 retries, 3 dead | late=270%d%d%d%.%d%d%ds;;777600%.000 "
        .. "pending=2 retries=1 dead=3;3\n$", line)
    end)

    it("does not warn of a consumer that stands by", function()
      assert.equal(0, (check({ troubles = { { what = "queue", name = "q", why = "another", standby = true } } },
        { max_late = "9d", max_dead = "3" })))
    end)

    it("knows that the embedded broker is never away", function()
      assert.equal(0, (check({ broker_state = "embedded" }, { max_late = "9d", max_dead = "3" })))
    end)

    it("warns of dead letters, and is critical of what is late", function()
      local code, line = check(nil, { max_late = "9d" })
      assert.equal(1, code)
      assert.matches("^HERALD WARNING %- 3 dead letters: herald dead groups | ", line)
      code, line = check()
      assert.equal(2, code)
      assert.matches("^HERALD CRITICAL %- outbox late for 3 d 3 h; 3 dead letters: herald dead groups | ", line)
    end)

    for name, case in pairs {
      ["a broker that is away"] = { { broker_state = "connecting", broker_error = "refused | it" },
        2, "broker connecting: refused / it" },
      ["a store that cannot be written"] = { { state = "paused", paused_for = "full" }, 2, "paused: full" },
      ["a queue that is not consumed"] = { { stopped_for = "full" }, 2, "nothing is consumed: full" },
      ["a paused subscription"] = { { paused = { { queue = "q", error = "no", failures = 20, since = 1,
        next_probe = 2 } } }, 2, "queue q is paused, every message fails: no" },
      ["a queue that does not answer"] = { { troubles = { { what = "queue", name = "q", why = "no answer" } } },
        1, "queue q: no answer" },
      ["a reload that was refused"] = { { rules_error = "rules/a.lua:1: no" }, 1,
        "the last reload was refused: rules/a.lua:1: no" },
      ["rules that wait"] = { { rules_wait = "a.lua is gone" }, 1, "not in force yet: a.lua is gone" },
      ["a WAL that stays"] = { { store_trouble = "a reader does not let go" }, 1,
        "the store's WAL cannot be emptied: a reader does not let go" },
    } do
      it("tells of " .. name, function()
        local code, line = check(case[1], { max_late = "9d", max_dead = "3" })
        assert.equal(case[2], code)
        assert.truthy(line:find(" - " .. case[3] .. " | late=", 1, true), line)
      end)
    end

    it("does not know where no router runs, but what is late is so all the same", function()
      local code, _, out = run { check = true, max_late = "9d", max_dead = "3" }
      assert.equal(3, code)
      assert.matches("^HERALD UNKNOWN %- no router runs on shop%.db | ", out)
    end)

    it("does not know without a store, and says what of its own words is wrong", function()
      local code, _, out = run { check = true, store = "other.db" }
      assert.equal(3, code)
      assert.matches("^HERALD UNKNOWN %- no store at other%.db", out)
      code, _, out = run { check = true, max_late = "soon" }
      assert.equal(3, code)
      assert.matches('^HERALD UNKNOWN %- %-%-max%-late is "soon"', out)
      code, _, out = run { check = true, max_dead = "few" }
      assert.equal(3, code)
      assert.matches('%-%-max%-dead is "few"', out)
    end)

    it("alone has limits", function()
      local code, problem = run { max_dead = "3" }
      assert.equal(2, code)
      assert.matches("belong to %-%-check", problem)
    end)
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

  it("with a router tells how the broker is spoken to, and until when", function()
    running { state = "running", broker_state = "up", broker_error = "", ready = true, tls = "TLSv1.3",
      certificate_ends = 1764000060000, peer_certificate_ends = 0 }
    local _, _, out = run {}
    assert.matches("broker +up\n +TLSv1.3, our certificate ends at 2025%-11%-24T16:01:00Z\n", out)
    local _, _, json = run { json = true }
    assert.truthy(json:find('"tls":{"version":"TLSv1.3","certificate_ends":"2025-11-24T16:01:00.000Z",'
      .. '"peer_certificate_ends":null}', 1, true), json)
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
