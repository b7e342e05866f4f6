-- `herald test` and herald.testing, through the real binary.

local made = require "made"

local RULES <const> = [[
local herald = require "herald"
herald.subscribe { queue = "q", from = herald.fanout "ex", retry = { attempts = 2, delay = "10s", jitter = 0 } }
herald.route { type = "out", to = herald.fanout "ex2" }
herald.on("note", "*", function(msg, tx)
  tx:exec("insert into effect values (?, datetime('now'))", msg.business_key1)
  if msg.business_key1 == "bad" then error("bad luck") end
  tx:emit { type = "out", business_key1 = msg.business_key1, body = { n = 1 } }
end)
]]
local MIGRATION <const> = "create table effect (key text, at text);"

describe("herald test", function()
  local shop

  after_each(function() if shop then shop:remove() end shop = nil end)

  local function router(spec, more)
    local files = { ["herald.lua"] = "return {}", ["rules/a.lua"] = RULES,
      ["migrations/001.sql"] = MIGRATION, ["spec/a_spec.lua"] = spec }
    for name, text in pairs(more or {}) do files[name] = text end
    shop = made.folder(files)
    return shop
  end

  -- Runs the body of one spec against a started router `r`.
  local function try(body, options, more)
    router(([[
      local testing = require "herald.testing"
      it("works", function()
        local r = testing.start(%s)
        %s
      end)]]):format(options or "", body), more)
    local code, out, err = shop:herald("test", "--output", "plainTerminal")
    assert.equal("", shop:leftovers())
    return code, out, err
  end

  local function passes(...)
    local code, out, err = try(...)
    assert.equal(0, code, out .. err)
    assert.matches("1 success / 0 failures / 0 errors", out)
  end

  -- It ends with 1, and says all of this.
  local function fails(words, ...)
    local code, out, err = try(...)
    assert.equal(1, code, out .. err)
    for _, word in ipairs(words) do
      assert.truthy((out .. err):find(word, 1, true), word .. "\nis not in\n" .. out .. err)
    end
  end

  it("has the router's own events happen", function()
    passes([[
      r:raise("herald.paused", { queue = "q", failures = 3 })
      r:raise("herald.disk_low")
      r:raise("herald.broker_lost")
      r:run()
      assert.rows(r, "select what from seen", { { what = "q 3" } })
      assert.published(r, { type = "herald.disk_low" })
      assert.is_not.outbox(r, { type = "herald.broker_lost" })
      assert.is_not.retry(r, {})
    ]], nil, { ["rules/b.lua"] = [[
      local herald = require "herald"
      herald.route { type = "herald.disk_low", to = herald.fanout "ex2" }
      herald.on("herald.paused", "*", function(msg, tx)
        assert(msg.queue == "herald.events" and msg.business_key1 == "q" and msg.attempt == 1)
        tx:exec("insert into seen values (?)", msg.business_key1 .. " " .. msg.body.failures)
      end)
      herald.on("*", "*", function() error "not for me" end) ]],
      ["migrations/002.sql"] = "create table seen (what text);" })
  end)

  it("runs the rules on a store that nobody sees", function()
    passes [[
      r:deliver { type = "note", business_key1 = 7 }
      assert.rows(r, "select * from effect", {})
      r:run()
      assert.rows(r, "select key from effect where at = ?", "2026-01-01 00:00:00", { { "7" } })
      assert.is_not.dead(r, {})]]
    assert.same(nil, io.open(shop.path .. "/herald.db"))
  end)

  it("lets time pass for SQL, retries and herald.now", function()
    passes([[
      assert.equal("2030-01-02 03:04:05", r:value "select datetime('now')")
      r:deliver { type = "note", business_key1 = "bad" }
      r:run()
      assert.retry(r, { attempts = 1, error = "bad luck", due_at = r:now() + 10000 })
      r:advance "9s"
      assert.retry(r, { attempts = 1 })
      r:advance(1)
      assert.dead(r, { attempts = 2, error = "bad lu.k$" })
      assert.equal("2030-01-02 03:04:15", r:value "select datetime('now')")
      assert.equal(1893553455, r:value "select unixepoch()")
      assert.rows(r, "select * from effect", {})]], '{ now = "2030-01-02T03:04:05Z" }')
  end)

  it("captures what is published, and shows bodies as JSON", function()
    passes([[
      r:deliver { type = "note", business_key1 = "k", body = { big = 9007199254740993 } }
      r:run()
      assert.published(r, { type = "out", exchange = "ex2", kind = "fanout", body = { n = 1 } })
      assert.is_not.published(r, { type = "out", body = { n = 2 } })
      assert.same({}, r:outbox())]], "{ loopback = false }")
  end)

  it("shows the properties of what is published, and of what comes", function()
    passes([[
      r:deliver { type = "note", business_key1 = "k", body = {}, properties = { reply_to = "answers" } }
      r:emit { type = "out", priority = 5, properties = { expiration = 1000 } }
      assert.outbox(r, { type = "out", properties = { priority = 5, expiration = 1000 } })
      r:run()
      assert.published(r, { type = "out", properties = { priority = 5, expiration = 1000 } })
      assert.published(r, { type = "out", priority = 5, expiration = "1000" })
      assert.is_not.published(r, { type = "out", priority = 6 })]])
  end)

  it("carries properties from a row to the one who is given the message", function()
    passes([[
      r:emit { type = "asks", body = "b", properties = { correlation_id = "c", priority = 0,
        content_type = "text/plain", expiration = 5 } }
      r:emit { type = "asks", properties = { priority = 256 } }
      r:run()
      assert.logged(r, { text = "c 0 5 text/plain nil" })
      assert.dead(r, { type = "asks", error = "priority is 256" })]], [==[{ rules = [[
      local herald = require "herald"
      herald.route { type = "asks", to = herald.queue "asked" }
      herald.subscribe { queue = "asked", envelope = function(_, p)
        herald.log.info(("%s %s %s %s %s"):format(p.correlation_id, p.priority, p.expiration,
          p.content_type, p.delivery_mode))
        return { type = p.type }
      end }]] }]==])
  end)

  it("sees answers, and whom nobody waits for", function()
    passes([[
      r:deliver { type = "price", body = {}, reply_to = "answers", correlation_id = "c" }
      r:deliver { type = "price", body = {} }
      r:run()
      assert.published(r, { kind = "queue", routing_key = "answers", type = "reply", body = { ok = true },
        correlation_id = "c" })
      assert.retry(r, { type = "price", error = "the message has no reply_to" })
      assert.same({}, r:outbox())
      assert.equal(1, r:counters().unwanted)]], [==[{ rules = [[
      local herald = require "herald"
      herald.subscribe { queue = "prices" }
      herald.on("price", "*", function(_, tx) tx:reply { ok = true } end)]] }]==],
      { ["rules/a.lua"] = "" })
  end)

  it("says what no queue took", function()
    passes [[
      r:emit { type = "out" }
      r:run()
      assert.outbox(r, { type = "out", attempts = 1, reason = "no queue" })]]
  end)

  it("crashes where the spec says, and loses nothing", function()
    for _, when in ipairs { "before commit", "after commit" } do
      passes(([[
        r:deliver { type = "note", business_key1 = "k" }
        r:crash "%s":run()
        assert.rows(r, "select key from effect", { { "k" } })
        assert.equal(1, #r:published())]]):format(when), "{ loopback = false }")
      shop:remove()
    end
  end)

  it("delivers twice", function()
    passes [[
      r:deliver { type = "note", business_key1 = "k", times = 3 }
      r:duplicate_next():run()
      assert.equal(5, r:counters().duplicates)
      assert.rows(r, "select key from effect", { { "k" } })]]
  end)

  it("tells a repeat for as long as the router's own inbox_window", function()
    local short = { ["herald.lua"] = 'return { inbox_window = "1m" }' }
    passes([[
      local first = { queue = "q", type = "note", id = "n1", business_key1 = 7, timestamp = r:now() // 1000 }
      r:deliver(first)
      r:run()
      r:advance("20s")
      r:deliver(first)
      r:run()
      assert.equal(1, r:counters().duplicates)
      r:deliver { queue = "q", type = "note", business_key1 = 8 }
      r:advance("6m")
      r:deliver(first)
      r:run()
      assert.dead(r, { type = "note", message_id = "n1" })
      assert.matches("too old to tell", r:dead()[1].error)
      assert.rows(r, "select key from effect", { { "7" }, { "8" } })]], nil, short)
  end)

  it("takes what was delayed for longer than the router's inbox_window", function()
    passes([[
      r:deliver { queue = "q", type = "note", business_key1 = "old" }
      r:run()
      r:deliver { queue = "q", type = "plan" }
      r:run()
      assert.is_not.published(r, { type = "note" })
      r:advance("7m")
      assert.published(r, { type = "note", business_key1 = "late" })
      assert.same({}, r:dead())
      assert.rows(r, "select key from effect", { { "old" }, { "late" } })]], nil, {
      ["herald.lua"] = 'return { inbox_window = "1m" }',
      ["rules/b.lua"] = [[
        local herald = require "herald"
        herald.route { type = "note", to = herald.fanout "ex" }
        herald.on("plan", "*", function(_, tx)
          tx:emit { type = "note", business_key1 = "late", delay = "6m" }
        end)]],
    })
  end)

  it("adds rules, fixtures and named values", function()
    passes([[
      r:deliver { queue = "more", type = "other" }
      r:run()
      assert.logged(r, "more of it")
      assert.rows(r, "select key from effect where key = :key", { key = "f" }, { { "f" } })
      assert.equal(nil, r:row("select 1 where 0"))]],
      [==[{ sql = "insert into effect (key) values ('f'); select 1", rules = [[
        local herald = require "herald"
        herald.subscribe { queue = "more" }
        herald.on("other", "*", function() herald.log.info "more of it" end)]] }]==])
  end)

  it("reads messages from files", function()
    passes([[
      assert.equal("a:1", r:deliver_file "spec/m.json")
      assert.equal("m", r:deliver_file("spec/letter.json", { business_key1 = "changed" }))
      r:run()
      assert.rows(r, "select key from effect order by key", { { "123456789012345678" }, { "changed" } })]],
      "", {
        ["spec/m.json"] = '{"type": "note", "id": "a:1", "business_key1": 123456789012345678}',
        ["spec/letter.json"] = '{"id": 3, "message_id": "m", "type": "note", "order_type": null, '
          .. '"queue": "q", "side": "inbox", "attempts": 1, "error": "x", "at": "y", "body": "{}", '
          .. '"tries": [], "format": "cap"}',
      })
  end)

  it("takes numbers that Lua has not by their text", function()
    passes([[
      r:deliver_file "spec/m.json"
      r:run()
      assert.rows(r, "select key from effect", { { "18446744073709551616" } })
      assert.published(r, { type = "out", body = '{"a":[123456789012345678901234567890,1e400]}' })
      assert.published(r, { type = "out", body = { a = { "123456789012345678901234567890", "1e400" } } })
      assert.is_not.published(r, { type = "out", body = { a = { "1", "1e400" } } })]],
      [==[{ rules = [[
        local herald = require "herald"
        herald.on("big", "*", function(msg, tx)
          tx:exec("insert into effect (key) values (?)", msg.business_key1)
          tx:emit { type = "out", body = msg.body }
        end)]] }]==], {
        ["spec/m.json"] = '{"type": "big", "business_key1": 18446744073709551616, "queue": "q", '
          .. '"body": "{\\"a\\":[123456789012345678901234567890,1e400]}"}',
      })
  end)

  it("shows both sides of what differs", function()
    fails({ "spec/a_spec.lua:", "Expected the rows", 'key = "wanted"', 'but there was', 'key = "k"' }, [[
      r:deliver { type = "note", business_key1 = "k" }
      r:run()
      assert.rows(r, "select key from effect", { { key = "wanted" } })]])
  end)

  it("knows the keys, and guesses", function()
    fails({ "a_spec.lua:3: unknown key 'rule' in testing.start: did you mean 'rules'?" }, "", "{ rule = 1 }")
    shop:remove()
    fails({ "a_spec.lua:4: unknown key 'bussiness_key1' in router:deliver: did you mean 'business_key1'?" },
      "r:deliver { type = 'note', bussiness_key1 = 1 }")
    shop:remove()
    fails({ "a_spec.lua:4: unknown key 'eror' in assert.dead: did you mean 'error'?" },
      "assert.dead(r, { eror = 1 })")
  end)

  it("says where SQL is wrong", function()
    fails({ "a_spec.lua:4: no such table: missing in: select * from missing" },
      "r:sql 'select * from missing'")
    shop:remove()
    fails({ "a_spec.lua:4:", "left a transaction open" }, "r:sql 'begin'")
    shop:remove()
    fails({ "a_spec.lua:4:", "1 parameters, but 2 values" }, "r:sql('select ?', 1, 2)")
    shop:remove()
    fails({ "a_spec.lua:4:", "no value for :b" }, "r:sql('select :a, :b', { a = 1 })")
  end)

  it("says which queue is missing", function()
    fails({ 'a_spec.lua:4: no queue "p": no herald.subscribe names it' }, "r:deliver { queue = 'p' }")
  end)

  it("reports rules that do not load, with file and line", function()
    fails({ "a_spec.lua:3: rules/b.lua:2:", "0 successes / 0 failures / 1 error" }, "", "",
      { ["rules/b.lua"] = "local x = 1\nx.y.z = 2" })
    shop:remove()
    fails({ "spec/rules/extra1.lua:1:" }, "", "{ rules = 'local' }")
  end)

  it("reports migrations and settings that do not work", function()
    fails({ "migrations/002.sql" }, "", "", { ["migrations/002.sql"] = "create tabel x (y)" })
    shop:remove()
    local _, _, err = try("", "", { ["herald.lua"] = "return { brokr = 1 }" })
    assert.matches("did you mean 'broker'", err)
  end)

  it("reports a spec that is no Lua, and goes on", function()
    router("it('is fine', function() end)", { ["spec/b_spec.lua"] = "it('is not'" })
    local code, out = shop:herald("test", "--output", "plainTerminal")
    assert.equal(1, code)
    assert.matches("spec/b_spec.lua:1:", out)
    assert.matches("1 success / 0 failures / 1 error", out)
  end)

  it("fails with a failing spec, also one that ends the process", function()
    router("it('fails', function() assert.equal(1, 2) end) it('ends', function() os.exit(0) end)")
    local code, out = shop:herald("test", "--output", "plainTerminal")
    assert.equal(1, code)
    assert.matches("0 successes / 1 failure / 1 error", out)
  end)

  it("fails where there are no specs", function()
    shop = made.folder { ["herald.lua"] = "return {}" }
    local code, _, err = shop:herald "test"
    assert.equal(1, code)
    assert.matches("no specs in spec: a spec is a file such as", err)
    code, _, err = shop:herald("test", "spec/c_spec.lua")
    assert.equal(1, code)
    assert.matches("no spec file spec/c_spec.lua", err)
  end)

  it("says what to install where busted is missing", function()
    router("it('is fine', function() end)")
    shop.env = "LUA_PATH_5_4=/nowhere/?.lua"
    local code, _, err = shop:herald "test"
    assert.equal(1, code)
    assert.matches("apt%-get install lua%-busted", err)
  end)

  it("takes files and a filter", function()
    router("it('one', function() end) it('two', function() end)",
      { ["spec/b_spec.lua"] = "it('three', function() end)" })
    local _, out = shop:herald("test", "--output", "plainTerminal", "--filter", "two")
    assert.matches("1 success ", out)
    _, out = shop:herald("test", "--output", "plainTerminal", "spec/a_spec.lua")
    assert.matches("2 successes", out)
  end)

  it("fails where a filter matches nothing, or a file has no spec", function()
    router("it('one', function() end)", { ["spec/b_spec.lua"] = "local x = 1 return x" })
    local code, _, err = shop:herald("test", "--filter", "tow")
    assert.equal(1, code)
    assert.matches('no spec has a name that matches "tow"', err, 1, true)
    code, _, err = shop:herald("test", "spec/b_spec.lua")
    assert.equal(1, code)
    assert.matches("have no specs", err)
  end)

  it("runs the specs of the folders that are included, each with its own router", function()
    local spec = [[
      it("has its queue", function()
        local r = require("herald.testing").start()
        r:deliver { type = "x" }
        assert.equal("%s", r:value "select queue from herald_queue_item")
      end)]]
    local rules = "local herald = require 'herald' herald.subscribe { queue = '%s' }"
    shop = made.folder { ["herald.lua"] = "return { include = { 'a', 'b' } }",
      ["a/herald.lua"] = "return {}", ["b/herald.lua"] = "return {}",
      ["a/rules/r.lua"] = rules:format "qa", ["b/rules/r.lua"] = rules:format "qb",
      ["a/spec/a_spec.lua"] = spec:format "qa", ["b/spec/b_spec.lua"] = spec:format "qb",
      ["spec/both_spec.lua"] = [[
        it("has both", function()
          local r = require("herald.testing").start()
          assert.rows(r, "select name from herald_queue order by name", { { "qa" }, { "qb" } })
        end)]] }
    local code, out = shop:herald("test", "--output", "plainTerminal")
    assert.equal(0, code, out)
    assert.matches("3 successes", out)
  end)

  it("finds what included folders share, in each one's specs and in those of all", function()
    local spec = [[
      it("knows the tax", function()
        local r = require("herald.testing").start()
        r:deliver { queue = "q1", type = "t" }
        r:run()
        assert.logged(r, "119")
      end)]]
    shop = made.folder {
      ["herald.lua"] = "return { include = { 'one', 'two' } }",
      ["lib/money.lua"] = "local rate = require 'lib.rate' return function(x) return x + rate end",
      ["lib/rate.lua"] = "return 19", ["two/lib/rate.lua"] = "return 7", ["spec/both_spec.lua"] = spec,
      ["one/herald.lua"] = "return {}", ["one/spec/one_spec.lua"] = spec,
      ["one/rules/a.lua"] = [[local herald = require "herald" local money = require "lib.money"
        herald.subscribe { queue = "q1" }
        herald.on("t", "*", function() herald.log.info(tostring(money(100))) end)]],
      ["two/herald.lua"] = "return {}", ["two/rules/b.lua"] = "assert(require 'lib.rate' == 7)",
    }
    local code, out, err = shop:herald("test", "--output", "plainTerminal")
    assert.equal(0, code, out .. err)
    assert.matches("2 successes / 0 failures / 0 errors", out)
  end)

  it("keeps specs out of the rules' state, and the rules out of theirs", function()
    passes([[
      herald = "a spec's"
      r:deliver { queue = "more", type = "look" }
      r:run()
      assert.retry(r, { error = "undefined global 'io'" })
      assert.equal("a spec's", herald)]],
      [==[{ rules = [[
        local herald = require "herald"
        herald.subscribe { queue = "more" }
        herald.on("look", "*", function() return io end)]] }]==])
  end)
end)
