-- `herald check`: each kind of finding, on made folders, by the real binary.

local made = require "made"

local HEAD = 'local herald = require "herald"\n'
local ROUTE = 'herald.route { type = "order_paid", to = herald.fanout "orders" }\n'
local LISTEN = 'herald.subscribe { queue = "learning", from = herald.fanout "orders" }\n'
local HANDLE = 'herald.on("order_paid", "*", function(msg, tx) tx:exec("delete from t") end)\n'
local GOOD = HEAD .. ROUTE .. LISTEN .. HANDLE
local TABLE = "create table t (\n  id integer primary key,\n  name text\n);\n"

describe("herald check", function()
  local shop

  local function remove()
    if shop then shop:remove() end
    shop = nil
  end

  after_each(remove)

  -- Files over a good router; `false` takes one away.
  local function router(files)
    local all = { ["herald.lua"] = "return {}", ["rules/a.lua"] = GOOD, ["migrations/001.sql"] = TABLE }
    for name, text in pairs(files or {}) do all[name] = text or nil end
    remove()
    shop = made.folder(all)
    return shop
  end

  -- The findings as text; the exit code must fit them.
  local function check(files, ...)
    local code, out, err = router(files):herald("check", ...)
    assert.equal("", err)
    local errors = math.tointeger(tonumber(out:match("(%d+) errors, %d+ warnings\n$") or 0))
    assert.equal(errors > 0 and 1 or 0, code)
    assert.equal("", shop:leftovers())
    return out
  end

  -- A body of a handler, and what is found in it.
  local function handler(body)
    return check { ["rules/a.lua"] = HEAD .. ROUTE .. LISTEN
      .. 'herald.on("order_paid", "*", function(msg, tx)\n' .. body .. "\nend)\n" }
  end

  local function has(out, line)
    assert.truthy(("\n" .. out):find("\n" .. line, 1, true), ("no line %q in:\n%s"):format(line, out))
  end

  it("says what it counted when nothing is wrong", function()
    assert.equal("ok: 1 files, 1 migrations, 1 routes, 1 subscriptions, 1 handlers, 1 statements\n", check())
    assert.equal("[]\n", check(nil, "--json"))
  end)

  it("makes no store, and leaves one as it is", function()
    router()
    shop:herald("check")
    assert.equal("herald.lua\nmigrations\nrules\n", select(2, shop:shell("ls -A")))
    assert.equal(0, (shop:herald("run", "--until-idle")))
    local function sums() return select(2, shop:shell("cat herald.db* | cksum; ls -l --full-time herald.db*")) end
    local before = sums()
    assert.equal(0, (shop:herald("check")))
    assert.equal(before, sums())
  end)

  it("needs a router's folder", function()
    shop = made.folder {}
    local code, _, err = shop:herald("check")
    assert.equal(2, code)
    assert.matches("herald.lua cannot be read", err)
    code, _, err = shop:herald("-C", "nowhere", "check")
    assert.equal(2, code)
    assert.matches("no folder nowhere", err)
  end)

  it("says when it has no place for a store to check with", function()
    router().env = "TMPDIR=/nothing-here"
    local code, out, err = shop:herald "check"
    assert.same({ 1, "" }, { code, out })
    assert.matches("^herald: .*/nothing%-here: set TMPDIR", err)
  end)

  describe("on settings", function()
    it("points at the line", function()
      has(check { ["herald.lua"] = 'return {\n  brokr = "embedded",\n}' },
        "herald.lua:2:3: error: unknown setting 'brokr': did you mean 'broker'?")
      has(check { ["herald.lua"] = 'return {\n\n  heartbeat = "1h",\n}' },
        "herald.lua:3:3: error: setting 'heartbeat' is \"1h\", but must be")
      has(check { ["herald.lua"] = "return {\n  name = \n}" }, "herald.lua:3:1: error: ")
      has(check { ["herald.lua"] = "\nreturn { name = os.getenv 'NAME' }" }, "herald.lua:2:1: error: ")
      has(check { ["herald.lua"] = "return 7" }, "herald.lua:1:1: error: herald.lua must return a table")
    end)
  end)

  describe("on Lua", function()
    it("finds every broken file, not only the first", function()
      local out = check { ["rules/b.lua"] = "x = = 1", ["lib/deep/c.lua"] = "\nlocal function",
        ["spec/d_spec.lua"] = "describe(" }
      has(out, "lib/deep/c.lua:2:1: error: <name> expected near <eof>")
      has(out, "rules/b.lua:1:1: error: unexpected symbol near '='")
      has(out, "spec/d_spec.lua:1:1: error: ")
      assert.matches("\n3 errors, 0 warnings\n$", out)
    end)

    it("takes a byte order mark and Windows line ends", function()
      assert.matches("^ok: ", check { ["rules/a.lua"] = "\xEF\xBB\xBF" .. GOOD:gsub("\n", "\r\n") })
    end)

    it("does not read what a router would not", function()
      assert.matches("^ok: 1 files", check { ["rules/.b.lua"] = "(", ["rules/c.lua.bak"] = "(",
        ["rules/deep/d.lua"] = "(" })
    end)

    it("finds undefined globals, fields that the sandbox lacks, and unused locals", function()
      local out = handler "  local n\n  undefined(msg)\n  os.execute(tx)\n  made = 1"
      has(out, "rules/a.lua:5:9: warning: unused variable 'n'")
      has(out, "rules/a.lua:6:3: error: accessing undefined variable 'undefined'")
      has(out, "rules/a.lua:7:3: error: accessing undefined field 'execute' of global 'os'")
      has(out, "rules/a.lua:8:3: error: setting non-standard global variable 'made'")
    end)

    it("lets files have globals of their own, arguments be unused, and specs use busted", function()
      assert.matches("^ok: 2 files", check {
        ["rules/a.lua"] = "LIMIT = 3\n" .. GOOD:gsub("tx:exec", "tx:exec(\"delete from t where id = ?\", LIMIT); tx:exec"),
        ["spec/a_spec.lua"] = 'describe("x", function() it("y", function() assert.equal(1, 1) end) end)' })
    end)

    it("does without luacheck where it is not installed", function()
      local code, out = router { ["rules/b.lua"] = "undefined = undefined" }:shell "true"
      assert.equal(0, code)
      shop.env = "HERALD_LUACHECK=/nothing"
      code, out = shop:herald("check")
      assert.is_nil(out:find("luacheck", 1, true), out)
      assert.is_number(code)
    end)
  end)

  describe("on calls", function()
    it("counts what is given to a statement", function()
      local out = handler [[
  tx:exec("delete from t where id = ? and name = ?", msg.id)
  tx:exec("delete from t where id = :id", { id = 1 })
  tx:exec("delete from t where id = ?", table.unpack { 1 })
  tx:row("select * from t", 1)]]
      has(out, "rules/a.lua:5:11: error: the statement has 2 parameters, 1 value is given")
      has(out, "rules/a.lua:8:10: error: the statement has 0 parameters, 1 value is given")
      assert.matches("2 errors, 0 warnings", out)
    end)

    it("finds a dot for a colon, and fields that tx:emit does not know", function()
      local out = handler [[
  tx.exec("delete from t")
  tx:emit { type = "order_paid", bodi = 1 }]]
      has(out, "rules/a.lua:5:6: error: tx.exec(...) is called without its tx: write tx:exec(...)")
      has(out, "rules/a.lua:6:34: error: tx:emit knows no field 'bodi'")
    end)
  end)

  describe("beside the store of a router", function()
    it("finds migrations that have changed, or are named earlier than applied ones", function()
      router()
      assert.equal(0, (shop:herald("run", "--until-idle")))
      shop:shell("echo 'create table u (id);' > migrations/000.sql; echo '-- x' >> migrations/001.sql")
      local code, out = shop:herald("check")
      assert.equal(1, code)
      has(out, "migrations/000.sql:1:1: warning: migrations/000.sql is named earlier than 001.sql")
      assert.matches("migrations/001.sql:1:1: error: migrations/001.sql was applied at .* and has changed since", out)
    end)

    -- In the store of 0.1.0 messages of kept-plain were named by the id of their bodies.
    local function beside_older(subscription)
      remove()
      shop = made.folder { ["herald.lua"] = "return {}", ["rules/a.lua"] = HEAD .. subscription }
      local fixture = os.getenv("PWD") .. "/tests/fixtures/store-0.1.0.sql"
      assert.equal(0, (shop:shell("sqlite3 herald.db < " .. fixture)))
      return select(2, shop:herald "check")
    end

    it("says what the id of a body does not name any more, once, before the upgrade", function()
      local out = beside_older 'herald.subscribe { queue = "kept-plain" }\nherald.subscribe { queue = "kept-raw" }'
      local _, times = out:gsub('identity = "body.id" keeps what it meant', "")
      assert.equal(1, times, out)
      assert.matches("rules/a.lua:%d+:1: warning: messages without a message id were named by the id", out)
      shop:shell("sqlite3 herald.db 'alter table herald_inbox add column fingerprint_version'") -- upgraded
      assert.is_nil((select(2, shop:herald "check")):find("body.id", 1, true))
    end)

    it("says nothing of ids where a subscription says what names its messages", function()
      for _, more in ipairs { 'identity = "body.id"', "identity = function() return nil end", 'envelope = "raw"' } do
        local out = beside_older(('herald.subscribe { queue = "kept-plain", %s }'):format(more))
        assert.is_nil(out:find("body.id", 1, true), out)
      end
    end)

    it("finds that the store's folder is missing", function()
      has(check { ["herald.lua"] = 'return { store = "data/herald.db" }' },
        "herald.lua:1:10: error: the store's folder data is not there")
    end)
  end)

  describe("on rules", function()
    it("tells why they do not load", function()
      local out = check { ["rules/a.lua"] = HEAD .. 'herald.subscribe { qeue = "x" }' }
      has(out, "rules/a.lua:2:1: error: unknown key 'qeue' in herald.subscribe: did you mean 'queue'?")
      has(out, "herald.lua:1:1: note: SQL, routes, subscriptions and handlers were not looked at")
    end)

    it("names both places of a duplicate handler", function()
      has(check { ["rules/b.lua"] = HEAD .. HANDLE },
        'rules/b.lua:2:1: error: a second handler for type "order_paid", order type "*": the first one is at rules/a.lua:4')
    end)

    it("tells a broken module once, where it is broken", function()
      local out = check { ["rules/b.lua"] = 'require "lib.money"', ["lib/money.lua"] = "return )" }
      has(out, "lib/money.lua:1:1: error: unexpected symbol near ')'")
      assert.matches("\n1 errors, 0 warnings\n$", out)
    end)

    it("tells of a link that leads out of the folder", function()
      router():shell "ln -s ../../outside.lua rules/b.lua && touch ../outside.lua"
      local code, out = shop:herald "check"
      assert.equal(1, code)
      has(out, "rules/b.lua:1:1: error: ")
    end)

    it("tells that there are none", function()
      has(check { ["rules/a.lua"] = false },
        "rules:1:1: error: cannot read the rules folder ./rules")
    end)
  end)

  describe("on SQL", function()
    it("points into the statement", function()
      has(handler '  tx:exec("insert into t (id, nam) values (1, 2)")',
        "rules/a.lua:5:11: error: table t has no column named nam")
      has(handler "  tx:row([[\n    select id,\n           nam from t]])",
        "rules/a.lua:7:12: error: no such column: nam")
      has(handler "  tx:value 'select 1 from tt'", "rules/a.lua:5:27: error: no such table: tt")
      has(handler '  for _ in tx:query("selec 1") do end', 'rules/a.lua:5:22: error: near "selec": syntax error')
    end)

    it("points at the literal where it cannot be told better", function()
      has(handler '  tx:exec("select \\"nam\\"\\n, x from t")', "rules/a.lua:5:11: error: no such column: ")
    end)

    it("knows what handlers may not do", function()
      has(handler '  tx:exec("delete from herald_outbox")', "rules/a.lua:5:11: error: a handler may not")
      has(handler '  tx:exec("pragma user_version")', "rules/a.lua:5:11: error: ")
      has(handler '  tx:exec("delete from t; delete from t")', "rules/a.lua:5:11: error: more than one statement")
    end)

    it("leaves alone what is computed", function()
      assert.matches("^ok: .* 0 statements\n$", handler '  tx:exec("delete from " .. msg.type)')
    end)

    it("looks into lib/, too", function()
      has(check { ["lib/money.lua"] = 'return function(tx) tx:exec "delete from tt" end',
        ["rules/b.lua"] = 'local money = require "lib.money"\nmoney = money' }, "lib/money.lua:1:42: error: no such table: tt")
    end)
  end)

  describe("on migrations", function()
    it("points at the line, and does not judge SQL without them", function()
      local out = check { ["migrations/002.sql"] = "create table u (id integer);\ncreate table u (id integer);" }
      has(out, "migrations/002.sql:2:1: error: table u already exists")
      has(out, "herald.lua:1:1: note: the SQL of the rules was not looked at")
      assert.matches("\n1 errors, 0 warnings\n$", out)
    end)
  end)

  describe("on what is never called or sent", function()
    it("warns of a handler without a subscription", function()
      has(check { ["rules/a.lua"] = HEAD .. HANDLE },
        'rules/a.lua:2:1: warning: the handler for "order_paid" is never called: there is no herald.subscribe')
    end)

    it("knows herald's own events, and a slip in their names", function()
      assert.matches("^ok: ", check { ["rules/a.lua"] = HEAD
        .. 'herald.on("herald.broker_lost", "*", function() end)' })
      has(check { ["rules/b.lua"] = HEAD .. 'herald.route { type = "herald.dead_leters", to = herald.queue "learning" }' },
        'rules/b.lua:2:1: warning: herald raises no "herald.dead_leters" (did you mean "herald.dead_letters"?): '
        .. 'there are herald.broker_back, ')
    end)

    it("warns of a handler for a queue that nobody listens to", function()
      has(check { ["rules/b.lua"] = HEAD .. 'herald.on("order_paid", 7, function() end, { queue = "lerning" })' },
        'rules/b.lua:2:1: warning: the handler for "order_paid", order type "7" is never called: nobody subscribes '
        .. 'to its queue "lerning" (did you mean "learning"?)')
    end)

    it("warns of a handler whose queues all have one of their own", function()
      local own = 'herald.on("order_paid", "*", function() end, { queue = "learning" })\n'
      has(check { ["rules/b.lua"] = HEAD .. own },
        'rules/a.lua:4:1: warning: the handler for "order_paid" is never called: each queue has one of its own for it')
      assert.matches("^ok: ", check { ["rules/b.lua"] = HEAD .. own
        .. 'herald.subscribe { queue = "second", from = herald.fanout "orders" }\n' })
    end)

    it("warns of a subscription without handler, and notes where that is meant", function()
      has(check { ["rules/a.lua"] = HEAD .. ROUTE .. LISTEN },
        'rules/a.lua:3:1: warning: no handler takes from "learning": all its messages are acknowledged and gone')
      has(check { ["rules/a.lua"] = HEAD .. ROUTE
        .. 'herald.subscribe { queue = "q", from = herald.fanout "orders", unhandled = "dead" }' },
        'rules/a.lua:3:1: note: no handler takes from "q": all its messages become dead letters')
    end)

    it("asks of a header that bears a property's name whether that was meant", function()
      local out = handler '  tx:emit { type = "order_paid", headers = { priority = 5, x = 1 } }'
      has(out, "rules/a.lua:5:46: warning: priority is a header here: was the property meant? That stands "
        .. 'beside headers: priority = ...; that the header is meant says ["priority"] = ...')
      assert.matches("^ok: ", handler
        '  tx:emit { type = "order_paid", headers = { ["priority"] = 5 } }')
      assert.matches("^ok: ", handler
        '  tx:emit { type = "order_paid", headers = { ["content_type"] = "text/plain" }, priority = 5 }')
    end)

    it("warns of a type that is emitted and has no route", function()
      has(handler '  tx:emit { type = "order_payd" }',
        'rules/a.lua:5:20: warning: no herald.route for "order_payd" (did you mean "order_paid"?): the message will be parked')
      assert.matches("^ok: ", handler '  tx:emit { type = "order_paid", order_type = "7" }')
    end)

    it("knows routes for one order type", function()
      local narrow = 'herald.route { type = "closed", order_type = "1", to = herald.fanout "orders" }\n'
      local function emits(spec)
        return check { ["rules/b.lua"] = HEAD .. narrow
          .. 'herald.on("closed", "*", function(msg, tx) tx:emit ' .. spec .. " end)" }
      end
      has(emits '{ type = "closed", business_key2 = "2" }',
        'rules/b.lua:3:61: warning: no herald.route for "closed", order type "2"')
      assert.matches("^ok: ", emits '{ type = "closed", business_key2 = "1" }')
      assert.matches("^ok: ", emits '{ type = "closed", business_key2 = msg.business_key2 }')
    end)

    it("knows what the embedded broker has not", function()
      local out = check { ["rules/a.lua"] = [[
local herald = require "herald"
herald.route { type = "t", to = herald.headers "h" }
herald.subscribe { queue = "q", from = herald.headers("h", { k = "v" }), priority = 5,
  arguments = { ["x-max-length"] = 5 } }
herald.on("t", "*", function() end)
]] }
      has(out, 'rules/a.lua:2:1: error: "h" is a headers exchange, which the embedded broker has not')
      has(out, 'rules/a.lua:3:1: error: "h" is a headers exchange, which the embedded broker has not')
      has(out, 'rules/a.lua:3:1: note: arguments of "q": the embedded broker takes no notice of it')
      has(out, 'rules/a.lua:3:1: note: priority of "q": the embedded broker takes no notice of it')
    end)

    it("follows messages from exchange to exchange", function()
      local function chain(key, from)
        return check { ["rules/a.lua"] = HEAD
          .. ('herald.route { type = "order_paid", to = herald.topic("events", %q) }\n'):format(key)
          .. ('herald.subscribe { queue = "learning", from = %s }\n'):format(from) .. HANDLE }
      end
      local TWO = 'herald.fanout("learn"):from(herald.fanout("orders"):from(herald.topic("events", "order.*")))'
      assert.matches("^ok: ", chain("order.paid", TWO))
      local out = chain("refund", TWO)
      has(out, 'rules/a.lua:2:1: warning: nobody listens where "order_paid" goes')
      has(out, 'rules/a.lua:3:1: warning: nothing comes to "learning"')
      has(chain("a", 'herald.fanout("learn"):from { herald.fanout "event", herald.topic("events", "#") }'),
        'rules/a.lua:3:1: warning: nothing comes to "learn" from "event": no herald.route here sends there (did you mean "events"?)')
      has(chain("a", 'herald.fanout("a"):from(herald.fanout("b"):from(herald.fanout("a")))'),
        'rules/a.lua:3:1: error: exchanges take from each other in a circle: "a" from "b" from "a"')
      has(chain("a", 'herald.fanout("a"):from(herald.fanout "events")'),
        'rules/a.lua:3:1: error: exchange "events" is a fanout here, and a topic at rules/a.lua:2: a broker has one exchange of that name, of one kind')
    end)

    it("knows that the embedded broker has nobody else", function()
      local out = check { ["rules/a.lua"] = HEAD .. ROUTE
        .. 'herald.subscribe { queue = "learning", from = herald.fanout "order" }\n'
        .. 'herald.on("order_payd", "*", function() end)' }
      has(out, 'rules/a.lua:2:1: warning: nobody listens where "order_paid" goes: no subscription here takes from "orders" (did you mean "order"?)')
      has(out, 'rules/a.lua:3:1: warning: nothing comes to "learning": no herald.route here sends to it (did you mean "orders"?)')
      has(out, 'rules/a.lua:4:1: warning: the handler for "order_payd" is never called: no herald.route here is for that (did you mean "order_paid"?)')
      assert.matches("^ok: ", check({ ["rules/a.lua"] = HEAD .. ROUTE
        .. 'herald.subscribe { queue = "learning", from = herald.fanout "order" }\n'
        .. 'herald.on("order_payd", "*", function() end)' }, "--broker", "amqp://127.0.0.1:1/"))
    end)

    it("knows that a route for one order type feeds no handler of another", function()
      has(check { ["rules/a.lua"] = HEAD .. 'herald.route { type = "t", order_type = 1, to = herald.fanout "orders" }\n'
        .. LISTEN .. 'herald.on("t", 1, function() end)\nherald.on("t", 2, function() end)' },
        'rules/a.lua:5:1: warning: the handler for "t", order type "2" is never called: no herald.route here is for that,')
    end)

    it("matches routing keys as a topic exchange does", function()
      local function topic(key, pattern)
        return check { ["rules/a.lua"] = HEAD
          .. ('herald.route { type = "order_paid", to = herald.topic("t", %q) }\n'):format(key)
          .. ('herald.subscribe { queue = "learning", from = herald.topic("t", %q) }\n'):format(pattern) .. HANDLE }
      end
      for _, pair in ipairs { { "a.b", "a.*" }, { "a.b", "#" }, { "a", "a.#" }, { "a.b.c", "#.c" }, { "a.b", "a.b" } } do
        assert.matches("^ok: ", topic(pair[1], pair[2]))
      end
      for _, pair in ipairs { { "a.b", "a" }, { "a", "a.*" }, { "a.b.c", "a.*" }, { "x", "a.#" } } do
        has(topic(pair[1], pair[2]), "rules/a.lua:2:1: warning: nobody listens")
      end
    end)
  end)

  describe("on retries", function()
    local function retry(policy)
      return check { ["rules/a.lua"] = HEAD .. ROUTE
        .. 'herald.subscribe { queue = "learning", from = herald.fanout "orders",\n retry = ' .. policy .. " }\n"
        .. HANDLE }
    end

    it("warns of those that go on for ever, with the time", function()
      has(retry '{ attempts = 1000000, delay = "1h", factor = 1 }',
        "rules/a.lua:3:1: warning: a message that always fails is tried for 114 years (1000000 attempts)")
      has(retry '{ attempts = 20, delay = "1s", factor = 10, max_delay = "7d" }',
        "rules/a.lua:3:1: warning: a message that always fails is tried for 92 days (20 attempts)")
      has(retry '{ attempts = 500000, delay = "0s" }', "rules/a.lua:3:1: warning: a message that always fails is tried 500000 times")
    end)

    it("knows max_age, and policies that end", function()
      assert.matches("^ok: ", retry '{ attempts = 1000000, delay = "1h", max_age = "2d" }')
      assert.matches("^ok: ", retry '{ attempts = 10, delay = { "1m", "1d" }, max_delay = "1d" }')
      assert.matches("^ok: ", retry "{}")
    end)

    it("tells what the settings say once, there", function()
      local out = check { ["herald.lua"] = 'return {\n  retry = { attempts = 900000, delay = "2h" },\n}' }
      has(out, "herald.lua:2:3: warning: a message that always fails is tried for 103 years")
      assert.matches("\n0 errors, 1 warnings\n$", out)
    end)

    it("looks at the outbox's", function()
      has(check { ["herald.lua"] = 'return {\n  publish_retry = { attempts = 900000 },\n}' },
        "herald.lua:2:3: warning: a message that always fails is tried for 9 years")
    end)

    it("looks at handlers' own", function()
      has(check { ["rules/b.lua"] = HEAD .. 'herald.on("order_paid", 1, function() end,\n'
        .. ' { retry = { attempts = 1000000, delay = "1h" } })' }, "rules/b.lua:2:1: warning: a message that always")
    end)
  end)

  it("says what an order per key needs where several routers share a queue", function()
    local ordered = { ["rules/a.lua"] = HEAD .. ROUTE .. 'herald.subscribe { queue = "learning",\n'
      .. ' from = herald.fanout "orders", order_by = "business_key1" }\n' .. HANDLE }
    has(check(ordered, "--broker", "amqp://127.0.0.1:1/"),
      'rules/a.lua:3:1: note: order_by keeps the order within one router: where several take from "learning"')
    assert.matches("^ok: ", check(ordered))
  end)

  it("takes included folders together", function()
    local out = check {
      ["herald.lua"] = 'return { include = { "one", "two" } }', ["rules/a.lua"] = false, ["migrations/001.sql"] = false,
      ["one/migrations/001.sql"] = TABLE, ["one/rules/a.lua"] = HEAD .. ROUTE,
      ["two/rules/b.lua"] = HEAD .. LISTEN .. HANDLE .. 'herald.on("order_paid", 1, function(_, tx) tx:exec "delete from u" end)',
      ["two/lib/c.lua"] = "return (",
    }
    has(out, "two/lib/c.lua:1:1: error: ")
    has(out, "two/rules/b.lua:4:")
    assert.matches("no such table: u", out)
  end)

  it("judges what included folders share, once", function()
    local out = check {
      ["herald.lua"] = 'return { include = { "one", "two" } }', ["rules/a.lua"] = false, ["migrations/001.sql"] = false,
      ["one/migrations/001.sql"] = TABLE, ["one/rules/a.lua"] = 'require "lib.shared"',
      ["two/rules/b.lua"] = 'require "lib.shared" require "lib.other"',
      ["lib/shared.lua"] = "local z return 1",
    }
    has(out, "lib/shared.lua:1:7: warning: unused variable 'z'")
    has(out, "two/rules/b.lua:1:1: error: no module 'lib.other': there is no file two/lib/other.lua or lib/other.lua")
  end)

  it("sorts by file and line, and writes JSON", function()
    local files = { ["rules/b.lua"] = "\n\nlocal b\nlocal a", ["rules/a.lua"] = GOOD .. "local z" }
    assert.equal(table.concat({
      "rules/a.lua:5:7: warning: unused variable 'z'", "rules/b.lua:3:7: warning: unused variable 'b'",
      "rules/b.lua:4:7: warning: unused variable 'a'", "0 errors, 3 warnings\n" }, "\n"), check(files))
    local first = check(files, "--json"):match("^%[({.-}),")
    assert.equal('{"file":"rules/a.lua","line":5,"column":7,"severity":"warning","text":"unused variable \'z\'"}', first)
  end)

  it("ends with 1 on errors, in JSON, too", function()
    assert.equal(1, (router { ["rules/a.lua"] = "(" }:herald("check", "--json")))
  end)

  it("has nothing to compare with the embedded broker", function()
    local out = check(nil, "--live")
    has(out, "herald.lua:1:1: note: --live: the embedded broker has only what these rules declare")
    assert.matches("\nok: ", out)
  end)

  it("tells when the broker is away", function()
    local code, out = router():herald("check", "--live", "--broker", "amqp://user:secret@127.0.0.1:1/")
    assert.equal(1, code)
    has(out, "herald.lua:1:1: error: --live: ")
    assert.is_nil(out:find("secret", 1, true))
  end)

  local function credentials(settings, files)
    files = files or {}
    files["herald.lua"] = settings
    return router(files)
  end

  it("judges the files of TLS and of the password", function()
    local r = credentials([[return {
      broker = "amqps://user@host/",
      password_file = "password",
      tls = { ca = "ca.pem" },
    }]], { password = "secret\n" })
    r:shell "chmod 644 password"
    local code, out = r:herald "check"
    assert.equal(1, code)
    has(out, "herald.lua:4:7: error: the authorities' certificate (tls.ca) ca.pem is not there: put it there")
    has(out, "herald.lua:3:7: warning: the password (password_file) password can be read by every user")
    assert.is_nil(out:find("secret", 1, true))
    r:shell "chmod 600 password; mkdir credentials; mv password credentials; touch password"
    code, out = r:herald "check"
    has(out, "herald.lua:3:7: error: the password (password_file) password is empty")
    r:shell "rm password"
    has(select(2, r:herald "check"), "herald.lua:3:7: error: the password (password_file) password is not there")
    r.env = "CREDENTIALS_DIRECTORY=" .. r.path .. "/credentials"
    assert.is_nil(select(2, r:herald "check"):find("(password_file)", 1, true))
  end)

  it("says where TLS is meant and not spoken", function()
    local r = credentials 'return { broker = "amqp://host/", tls = { ca = "/dev/null" } }'
    local code, out = r:herald "check"
    assert.equal(0, code)
    has(out, "herald.lua:1:35: warning: tls says how, but `broker` is amqp://, which is without TLS: write amqps://")
  end)

  it("tries no connection with files that are of no use", function()
    local r = credentials 'return { broker = "amqps://host.invalid/", tls = { ca = "/dev/null" } }'
    local code, out = r:herald("check", "--live")
    assert.equal(1, code)
    has(out, "herald.lua:1:44: error: the authorities' certificate (tls.ca) /dev/null is no file: give the path of one")
    assert.is_nil(out:find("--live", 1, true))
  end)

  it("takes settings from the environment, which stands above the file", function()
    local r = credentials 'return { store = "a.db", log_level = "nonsense" }'
    has(select(2, r:herald "check"), "herald.lua:1:26: error: setting 'log_level' is \"nonsense\"")
    r.env = "HERALD_LOG_LEVEL=warn HERALD_LOG_FORMAT=json HERALD_STORE=b.db"
    assert.equal(0, (r:herald "check"))
    r.env = "HERALD_LOG_LEVEL=warn HERALD_LOG_FORMAT=xml"
    has(select(3, r:herald "status"), "herald: HERALD_LOG_FORMAT: setting 'log_format' is \"xml\", but must be")
    r.env = "HERALD_LOG_LEVEL=warn HERALD_STORE=no/b.db"
    has(select(2, r:herald "check"), "herald.lua:1:10: error: the store's folder no is not there")
  end)

  -- The list of globals is written by hand; the sandbox is asked here what it has.
  it("knows what the sandbox has", function()
    local known = {}
    for name, fields in pairs(require "cli.check.globals") do
      known[#known + 1] = name
      for _, field in ipairs(fields ~= true and fields or {}) do known[#known + 1] = name .. "." .. field end
    end
    local _, out = router { ["rules/a.lua"] = "local known = '" .. table.concat(known, " ") .. "'" .. [[
      local unexpected, missing, seen = {}, {}, {}
      -- Distributions build Lua with them or without; Lua 5.4 itself has none.
      local of_lua_5_2 = { pow = 1, atan2 = 1, frexp = 1, cosh = 1, tanh = 1, ldexp = 1, log10 = 1, sinh = 1 }
      for name in known:gmatch "%S+" do seen[name] = false end
      local function found(name)
        if seen[name] == nil then unexpected[#unexpected + 1] = name end
        seen[name] = true
      end
      for _, name in ipairs { "collectgarbage", "dofile", "loadfile", "loadstring", "warn", "io", "debug", "package",
        "unpack", "module", "setfenv", "bit32", "herald", "arg" } do
        if pcall(function() return _G[name] end) then found(name) end
      end
      for name in known:gmatch "%S+" do
        if not name:find(".", 1, true) and pcall(function() return _G[name] end) then found(name) end
      end
      for _, library in ipairs { "string", "table", "math", "utf8", "coroutine", "os" } do
        for field in pairs(_G[library]) do
          if not of_lua_5_2[field] then found(library .. "." .. field) end
        end
      end
      for name, was in pairs(seen) do
        if not was then missing[#missing + 1] = name end
      end
      error(("unexpected: %s; missing: %s"):format(table.concat(unexpected, " "), table.concat(missing, " ")), 0)]] }
      :herald("check")
    assert.equal("unexpected: ; missing: ", out:match("unexpected: [^\n]*; missing: [^\n]*"))
  end)
end)
