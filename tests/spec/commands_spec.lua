local helper = require "helper"
local core = require "herald.core"
local commands = require "cli.commands"

describe("herald", function()
  local shop

  before_each(function() shop = helper.enter 'return { store = "shop.db" }' end)
  after_each(helper.leave)

  -- Runs a command; returns its exit code (nil: done), its problem, and what it printed.
  local function run(args)
    local results, out = helper.caught(commands.run, args)
    return results[1], results[2], out
  end

  describe("version", function()
    it("prints herald's own and the libraries', as text and as JSON", function()
      local _, _, text = run { command = "version" }
      for _, name in ipairs { "libuv", "openssl", "rabbitmq-c", "sqlite" } do
        assert.matches(name:gsub("%p", "%%%0") .. " +" .. core.libraries[name]:gsub("%p", "%%%0") .. "\n", text)
      end
      assert.matches("herald +" .. core.version:gsub("%p", "%%%0") .. "\n", text)
      local _, _, out = run { command = "version", json = true }
      assert.equal(('{"herald":"%s","libuv":"%s","lua":"5.4","openssl":"%s","rabbitmq-c":"%s","sqlite":"%s"}\n'):format(core.version,
        core.libraries.libuv, core.libraries.openssl, core.libraries["rabbitmq-c"], core.libraries.sqlite), out)
    end)
  end)

  describe("in a folder that does not exist", function()
    it("is bad usage", function()
      local code, problem = run { command = "emit", type = "t", count = "1", directory = "nowhere" }
      assert.equal(2, code)
      assert.equal("no folder nowhere: No such file or directory. Give the router's folder with "
        .. "-C DIR", problem)
    end)
  end)

  describe("with wrong settings", function()
    it("is bad usage", function()
      shop:write("herald.lua", "return { storr = 1 }")
      for _, command in ipairs { "run", "emit" } do
        local code, problem = run { command = command, type = "t", count = "1" }
        assert.equal(2, code)
        assert.matches("did you mean 'store'", problem)
      end
    end)
  end)

  describe("run", function()
    it("hands settings and folders to the router", function()
      shop:write("shop/herald.lua", "return {}")
      helper.stub("run", true)
      assert.is_nil(run { command = "run", directory = "shop", until_idle = true, store = "x.db" })
      assert.equal("shop", helper.call "chdir")
      local s = helper.call "run"
      assert.same({ "x.db", "embedded", true }, { s.store, s.broker, s.until_idle })
      assert.same({ { path = ".", namespace = "" } }, s.folders)
    end)

    it("reads the settings again, with the same overrides, when the router asks", function()
      helper.stub("run", true)
      run { command = "run", log_level = "debug" }
      local s = helper.call "run"
      shop:write("herald.lua", 'return { store = "other.db", log_level = "warn", retry = {} }')
      local now = s.reread()
      assert.same({ "debug", "store", 10 }, { now.log_level, now.restart, now.retry.attempts })
      shop:write("herald.lua", "return {")
      local none, why = s.reread()
      assert.is_nil(none)
      assert.matches("^herald.lua:1: ", why)
    end)

    it("gives each included folder a name space", function()
      shop:write("herald.lua", 'return { include = { "orders", "learning" } }')
      helper.stub("run", true)
      run { command = "run" }
      assert.same({ { path = "orders", namespace = "orders" },
        { path = "learning", namespace = "learning" } }, helper.call("run").folders)
    end)

    it("ends with 2 for bad configuration and with 1 for everything else", function()
      helper.stub("run", nil, "config", "rules/a.lua:1: no")
      local code, problem = run { command = "run" }
      assert.same({ 2, "rules/a.lua:1: no" }, { code, problem })
      helper.stub("run", nil, "failed", "disk is full")
      code, problem = run { command = "run" }
      assert.same({ 1, "disk is full" }, { code, problem })
    end)
  end)

  describe("emit", function()
    it("prints an id a line", function()
      local code, _, out = run { command = "emit", type = "t", key1 = "王", count = "2" }
      assert.is_nil(code)
      assert.equal("1\n2\n", out)
      local store, message, count = helper.call "emit"
      assert.equal("shop.db", store)
      assert.same({ type = "t", key1 = "王" }, message)
      assert.equal(2, count)
    end)

    it("prints JSON", function()
      local _, _, out = run { command = "emit", type = "t", count = "1", json = true }
      assert.equal('{"ids":[1]}\n', out)
    end)

    for _, count in ipairs { "0", "-1", "1.5", "x", "", "10000001" } do
      it(("refuses --count %q"):format(count), function()
        local code, problem = run { command = "emit", type = "t", count = count }
        assert.equal(2, code)
        assert.equal(('--count is "%s", but must be a whole number from 1 to 10000000'):format(count),
          problem)
        assert.is_nil(helper.call "emit")
      end)
    end

    local function row(words)
      words.command, words.type, words.count = "emit", "t", words.count or "1"
      helper.forget_calls()
      local code, problem = run(words)
      return code and { code, problem } or select(2, helper.call "emit")
    end

    it("hands over when a row is due, and its key", function()
      local began = os.time()
      assert.same({ type = "t", delay = 900000, key = "close-16" }, row { delay = "15m", key = "close-16" })
      assert.same({ type = "t", at = 1769860800000 }, row { at = "2026-01-31T12:00:00Z" })
      assert.same({ type = "t", at = 100000000005 }, row { at = "100000000005" })
      assert.same({ type = "t", at = 1 }, row { at = "1970-01-01T00:00:00Z" })
      assert.same({ type = "t", delay = 0, key = ("k"):rep(255) }, row { delay = "0s", key = ("k"):rep(255) })
      local due, names = {}, {}
      for i, r in ipairs(core.outbox_list("shop.db", {})) do due[i], names[i] = r.due_at, r.name end
      assert.same({ 1769860800000, 100000000005, 1, 0 }, { table.unpack(due, 2) })
      assert.truthy(due[1] - 900000 >= began * 1000 and due[1] - 900000 < (os.time() + 2) * 1000, due[1])
      assert.same({ [1] = "close-16", [5] = ("k"):rep(255) }, names)
    end)

    it("hands over properties as JSON", function()
      assert.same({ type = "t", properties = '{"priority":5,"correlation_id":"16","reply_to":"a=b"}' },
        row { properties = { "priority=5", "correlation_id=16", "reply_to=a=b" } })
    end)

    it("refuses bad properties", function()
      for _, case in ipairs {
        { { "priority" }, '--property is "priority", but must be NAME=VALUE' },
        { { "=5" }, '--property is "=5", but must be NAME=VALUE' },
        { { "app_id=a", "app_id=b" }, "--property gives app_id twice" },
        { { "app_id=\xff" }, "--property is not UTF-8 text" },
        { { "prio=5" }, "--property: properties: unknown property 'prio' (known: app_id, "
          .. "content_encoding, content_type, correlation_id, delivery_mode, expiration, priority, reply_to)" },
        { { "priority=high" }, '--property: properties: priority is "high": it must be a whole number '
          .. "from 0 to 255" },
      } do
        assert.same({ 2, case[2] }, row { properties = case[1] })
      end
    end)

    it("refuses bad times and keys", function()
      local delay = "must be a whole number with ms, s, m, h or d, such as 15m, of 100 years at most"
      local at = "must be a time such as 2026-01-31T12:00:00Z or 2026-01-31T20:00:00+08:00, or ms since 1970, above 0 and before the year 10000"
      for _, case in ipairs {
        { { delay = "-5m" }, '--delay is "-5m", but ' .. delay },
        { { delay = "" }, '--delay is "", but ' .. delay },
        { { delay = ("9"):rep(10240) }, '--delay is "' .. ("9"):rep(59) .. '…", but ' .. delay },
        { { at = "1769860800" }, '--at is "1769860800", which is a time in seconds; it takes milliseconds '
          .. "since 1970 (times 1000)" },
        { { at = "tomorrow" }, '--at is "tomorrow", but ' .. at },
        { { at = "0" }, '--at is "0", but ' .. at },
        { { at = "-1" }, '--at is "-1", but ' .. at },
        { { at = "253402300800000" }, '--at is "253402300800000", but ' .. at },
        { { at = "99999999999999999999" }, '--at is "99999999999999999999", but ' .. at },
        { { delay = "5s", at = "5" }, "--delay and --at exclude each other" },
        { { key = "" }, "--key is empty; it has 1 to 255 bytes" },
        { { key = ("k"):rep(256) }, "--key is longer than 255 bytes" },
        { { key = ("k"):rep(10240) }, "--key is longer than 255 bytes" },
        { { key = "\xff" }, "--key is not UTF-8 text" },
        { { key = "k", delay = "x" }, '--delay is "x", but ' .. delay },
        { { key = "k", count = "2" }, "--key with --count 2: each row would replace the one before" },
      } do
        assert.same({ 2, case[2] }, row(case[1]))
        assert.is_nil(helper.call "emit")
        assert.is_nil(core.kind "shop.db")
      end
    end)

    it("reads a body from a file, all of it", function()
      local body = '{"a":"王","b":"' .. ("b"):rep(100000) .. '"}\n'
      shop:write("body.json", body)
      assert.is_nil(run { command = "emit", type = "t", count = "1", body = "@body.json" })
      assert.equal(body, core.outbox_get("shop.db", 1).body)
      shop:write("body.json", '{"a":"王"}\n\0')
      local code, problem = run { command = "emit", type = "t", count = "1", body = "@body.json" }
      local _, message = helper.call "emit"
      assert.equal('{"a":"王"}\n\0', message.body)
      assert.equal(1, code)
      assert.matches("^%-%-body: ", problem)
    end)

    it("says which body cannot be read", function()
      local code, problem = run { command = "emit", type = "t", count = "1", body = "@/no/such" }
      assert.equal(1, code)
      assert.equal("--body: /no/such: No such file or directory", problem)
    end)
  end)
end)
