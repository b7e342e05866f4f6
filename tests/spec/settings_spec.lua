local helper = require "helper"
local retry = require "cli.check.retry"
local settings = require "cli.settings"

describe("settings.check", function()
  it("fills in the defaults", function()
    assert.same({
      store = "herald.db", broker = "embedded", name = "herald", log_level = "info",
      log_format = "logfmt", publish_window = 1200, confirm_timeout = 30000, prefetch_bytes = 64 << 20,
      rescue_after = 2,
      heartbeat = 15000, handler_timeout = 5000, watchdog = 30000, handler_memory = 64 << 20,
      message_max = 16 << 20, recent_messages = 100, inbox_window = 7 * 86400000, history = 0, stop_timeout = 8000,
      removed_rules = "wait", trace_context = "keep", dead_letters_above = 100, disk_low = 1 << 30, tls = { verify = true, min_version = "1.2" },
      retry = { attempts = 10, delays = { 1000 }, factor = 2, max_delay = 3600000, jitter = 0.1, max_age = 0 },
      publish_retry = { attempts = 50, delays = { 1000 }, factor = 2, max_delay = 300000, jitter = 0.2,
        max_age = 0 },
      socket = "herald.sock",
    }, settings.check {})
  end)

  it("turns durations into milliseconds and sizes into bytes", function()
    local s = assert(settings.check {
      confirm_timeout = "1500ms", heartbeat = "1m", inbox_window = "2h", handler_memory = "1GiB",
    })
    assert.same({ 1500, 60000, 7200000, 1 << 30 },
      { s.confirm_timeout, s.heartbeat, s.inbox_window, s.handler_memory })
  end)

  it("takes the ends of a range", function()
    assert(settings.check { publish_window = 1 })
    assert(settings.check { publish_window = 65536 })
    assert(settings.check { stop_timeout = "0s" })
    assert(settings.check { handler_memory = "1MiB" })
    assert(settings.check { handler_memory = "16GiB" })
    assert(settings.check { handler_memory = "1024 KiB" })
    assert.equal(0, settings.check { history = false }.history)
    assert.equal(60000, settings.check { history = "1m" }.history)
    assert.equal(3650 * 86400000, settings.check { history = "3650d" }.history)
  end)

  it("copies the list of folders", function()
    local given = { "orders", "learning_2", "a-b" }
    local s = assert(settings.check { include = given })
    assert.same(given, s.include)
    assert.not_equal(given, s.include)
  end)

  it("finds the key in the certificate's file where no other is named", function()
    assert.equal("a.pem", settings.check { tls = { cert = "a.pem" } }.tls.key)
    assert.equal("b.key", settings.check { tls = { cert = "a.pem", key = "b.key" } }.tls.key)
    assert.is_false(settings.check { tls = { verify = false } }.tls.verify)
  end)

  it("knows where a secret is held", function()
    local function hold(given) return settings.hold_secrets(assert(settings.check(given))) end
    assert.is_false(hold {})
    assert.is_false(hold { broker = "amqps://host/", tls = { ca = "ca.pem" } })
    assert.is_true(hold { broker = "amqp://user:password@host/" })
    assert.is_true(hold { password_file = "password" })
    assert.is_true(hold { tls = { cert = "a.pem" } })
  end)

  it("takes a broker's URLs as a list", function()
    local s = assert(settings.check { broker = { "amqps://u:p@a/v", "amqps://u:p@b:1/v" } })
    assert.equal("amqps://u:p@a/v amqps://u:p@b:1/v", s.broker)
  end)

  -- given, and what the message must be
  local wrong = {
    { { broker = {} }, "setting 'broker' must be \"embedded\", a URL, or a list of 1 to 16 URLs without spaces" },
    { { broker = { "amqp://a/", "embedded" } },
      "setting 'broker' must be \"embedded\", a URL, or a list of 1 to 16 URLs without spaces" },
    { { broker = { "amqp://a/", "amqp://u:secret@b/" } }, "setting 'broker' must be \"embedded\" or a URL: several may "
      .. "differ in their hosts only, not in amqp or amqps, user, password, vhost or heartbeat" },
    { { tls = true }, "setting 'tls' is true, but must be a table such as { ca = \"ca.pem\" }" },
    { { tls = { ca = "" } }, "setting 'tls.ca' is \"\", but must be a text" },
    { { tls = { verify = 1 } }, "setting 'tls.verify' is 1, but must be true or false" },
    { { tls = { min_version = 1.2 } }, "setting 'tls.min_version' is 1.2, but must be one of 1.2, 1.3" },
    { { tls = { key = "a.key" } },
      "setting 'tls' is a table, but must be a table with the certificate (cert) that the key belongs to" },
    { { tls = { certt = "a" } }, "setting 'tls' is a table, but must be a table without 'certt': did you "
      .. "mean 'cert'? (known: ca, cert, key, min_version, server_name, verify)" },
    { { store = 1 }, "setting 'store' is 1, but must be a text" },
    { { store = "" }, "setting 'store' is \"\", but must be a text" },
    { { store = true }, "setting 'store' is true, but must be a text" },
    { { broker = false }, "setting 'broker' must be \"embedded\" or a URL such as "
      .. "amqp://host/vhost" },
    { { broker = "embeded" }, "setting 'broker' must be \"embedded\" or a URL: it "
      .. "must start with amqp:// or amqps://, for example amqp://user:password@127.0.0.1:5672/vhost?heartbeat=10" },
    { { log_level = "loud" },
      "setting 'log_level' is \"loud\", but must be one of debug, info, warn, error" },
    { { log_format = 1 }, "setting 'log_format' is 1, but must be one of logfmt, json" },
    { { publish_window = "10" },
      "setting 'publish_window' is \"10\", but must be a whole number from 1 to 65536" },
    { { publish_window = 0 },
      "setting 'publish_window' is 0, but must be a whole number from 1 to 65536" },
    { { publish_window = 65537 },
      "setting 'publish_window' is 65537, but must be a whole number from 1 to 65536" },
    { { publish_window = 1.5 },
      "setting 'publish_window' is 1.5, but must be a whole number from 1 to 65536" },
    { { heartbeat = 15 }, "setting 'heartbeat' is 15, but must be a duration such as \"30s\" "
      .. "(ms, s, m, h, d) from 2s to 10m" },
    { { heartbeat = "15" }, "setting 'heartbeat' is \"15\", but must be a duration such as \"30s\" "
      .. "(ms, s, m, h, d) from 2s to 10m" },
    { { heartbeat = "1s" }, "setting 'heartbeat' is \"1s\", but must be a duration such as \"30s\" "
      .. "(ms, s, m, h, d) from 2s to 10m" },
    { { inbox_window = "1 week" }, "setting 'inbox_window' is \"1 week\", but must be a duration "
      .. "such as \"30s\" (ms, s, m, h, d) from 1m to 3650d" },
    { { history = "59s" }, "setting 'history' is \"59s\", but must be a duration such as \"30s\" "
      .. "(ms, s, m, h, d) from 1m to 3650d, or false" },
    { { history = true }, "setting 'history' is true, but must be a duration such as \"30s\" "
      .. "(ms, s, m, h, d) from 1m to 3650d, or false" },
    { { history = 0 }, "setting 'history' is 0, but must be a duration such as \"30s\" "
      .. "(ms, s, m, h, d) from 1m to 3650d, or false" },
    { { inbox_window = false }, "setting 'inbox_window' is false, but must be a duration such as "
      .. "\"30s\" (ms, s, m, h, d) from 1m to 3650d" },
    { { handler_memory = 1048576 }, "setting 'handler_memory' is 1048576, but must be a size such "
      .. "as \"64MiB\" from 1MiB to 16384MiB" },
    { { handler_memory = "64MB" }, "setting 'handler_memory' is \"64MB\", but must be a size such "
      .. "as \"64MiB\" from 1MiB to 16384MiB" },
    { { handler_memory = "1KiB" }, "setting 'handler_memory' is \"1KiB\", but must be a size such "
      .. "as \"64MiB\" from 1MiB to 16384MiB" },
    { { handler_memory = "99999999999999999999GiB" }, "setting 'handler_memory' is "
      .. "\"99999999999999999999GiB\", but must be a size such as \"64MiB\" from 1MiB to 16384MiB" },
    { { include = "orders" }, "^setting 'include' is \"orders\", but must be a list of folders "
      .. 'such as { "orders", "learning" }' },
  }
  for _, case in ipairs(wrong) do
    local name, value = next(case[1])
    it(("refuses %s = %s"):format(name, tostring(value)), function()
      local s, why = settings.check(case[1])
      assert.is_nil(s)
      assert.equal((case[2]:gsub("^%^", "")), why)
    end)
  end

  it("never shows a broker, which may hold a password", function()
    local s, why = settings.check { broker = "http://u:secret@h/" }
    assert.is_nil(s)
    assert.falsy(why:find("secret", 1, true), why)
  end)

  local lists = {
    { "empty", {}, "a list with at least one folder" },
    { "a path", { "a/b" }, "a list of folder names made of letters, digits, - and _" },
    { "the parent", { ".." }, "a list of folder names made of letters, digits, - and _" },
    { "a number", { 1 }, "a list of folder names made of letters, digits, - and _" },
    { "a key", { "a", b = "c" }, "a list of folder names made of letters, digits, - and _" },
    { "a repeat", { "a", "b", "a" }, 'a list without repeats ("a" stands twice)' },
  }
  for _, case in ipairs(lists) do
    it("refuses an include list with " .. case[1], function()
      local s, why = settings.check { include = case[2] }
      assert.is_nil(s)
      assert.equal("setting 'include' is a table, but must be " .. case[3], why)
    end)
  end

  it("refuses an include list with a hole instead of losing folders", function()
    assert.is_nil((settings.check { include = { [1] = "a", [3] = "c" } }))
  end)

  it("suggests the nearest name for an unknown one", function()
    local s, why = settings.check { heartbeet = "15s" }
    assert.is_nil(s)
    assert.truthy(why:find("unknown setting 'heartbeet': did you mean 'heartbeat'? (known: store,",
      1, true), why)
  end)

  it("suggests nothing for a name that is like none", function()
    local _, why = settings.check { zzzzzzzzzzzzzzz = 1 }
    assert.truthy(why:find("unknown setting 'zzzzzzzzzzzzzzz' (known: ", 1, true), why)
  end)

  it("refuses a value without a name", function()
    local _, why = settings.check { "embedded" }
    assert.truthy(why:find("unknown setting '1' (known: ", 1, true), why)
  end)

  it("keeps a handler from outliving half a heartbeat", function()
    assert(settings.check { handler_timeout = "5s", heartbeat = "10s" })
    local s, why = settings.check { handler_timeout = "6s", heartbeat = "10s" }
    assert.is_nil(s)
    assert.equal("handler_timeout (6000 ms) must be at most half of heartbeat (10000 ms)", why)
  end)

  it("keeps the watchdog from biting while the broker still waits", function()
    assert(settings.check { watchdog = "6s", heartbeat = "10s" })
    local s, why = settings.check { watchdog = "5s", heartbeat = "10s" }
    assert.is_nil(s)
    assert.equal("watchdog (5000 ms) must be more than half of heartbeat (10000 ms)", why)
    assert.is_nil(settings.check { watchdog = "0s" })
    assert.equal(60000, assert(settings.check { heartbeat = "1m" }).watchdog)
  end)
end)

describe("the setting retry", function()
  it("completes what is given with the built-in policy", function()
    assert.same({ attempts = 10, delays = { 1000 }, factor = 2, max_delay = 3600000, jitter = 0.1,
      max_age = 0 }, settings.check { retry = {} }.retry)
    assert.same({ attempts = 3, delays = { 500, 60000 }, factor = 1, max_delay = 7200000, jitter = 0,
      max_age = 86400000 }, settings.check { retry = { attempts = 3, delay = { "500ms", "1m" },
      factor = 1, max_delay = "2h", jitter = 0, max_age = "1d" } }.retry)
  end)

  it("is the built-in policy when it is not given", function()
    assert.same(settings.check { retry = {} }.retry, settings.check({}).retry)
    assert.same(settings.check { publish_retry = {} }.publish_retry, settings.check({}).publish_retry)
  end)

  it("tries a row that is refused for hours", function()
    local total = retry.total(settings.check({}).publish_retry)
    assert.is_true(total > 3 * 3600000 and total < 4.5 * 3600000, total)
  end)

  it("has a sister for the outbox with a policy of its own", function()
    assert.same({ attempts = 50, delays = { 1000 }, factor = 2, max_delay = 300000, jitter = 0.2,
      max_age = 0 }, settings.check { publish_retry = {} }.publish_retry)
    assert.same({ attempts = 3, delays = { 500 }, factor = 2, max_delay = 3600000, jitter = 0,
      max_age = 60000 }, settings.check { publish_retry = { attempts = 3, delay = "500ms",
      max_delay = "1h", jitter = 0, max_age = "1m" } }.publish_retry)
    local s, why = settings.check { publish_retry = { jiter = 1 } }
    assert.is_nil(s)
    assert.matches("^setting 'publish_retry' is a table, but must be a table without 'jiter': did you "
      .. "mean 'jitter'?", why)
  end)

  local wrong = {
    { 3, "'retry' is 3, but must be a table such as { attempts = 5, delay = \"10s\" }" },
    { { attempts = 0 }, "'retry.attempts' is 0, but must be a whole number from 1 to 1000000" },
    { { attempts = "3" }, "'retry.attempts' is \"3\", but must be a whole number from 1 to 1000000" },
    { { factor = 0.5 }, "'retry.factor' is 0.5, but must be a number from 1 to 1000" },
    { { factor = 0 / 0 }, "nan, but must be a number from 1 to 1000" },
    { { jitter = 1.5 }, "'retry.jitter' is 1.5, but must be a number from 0 to 1" },
    { { delay = 5 }, "'retry.delay' is 5, but must be a duration such as \"30s\"" },
    { { delay = {} }, "'retry.delay' is a table, but must be a duration or a list of 1 to 16" },
    { { delay = { "1s", "soon" } }, "'retry.delay' is a table, but must be a duration such as \"30s\"" },
    { { delay = { "1s", later = "2s" } }, "but must be a duration or a list of 1 to 16" },
    { { max_age = -1 }, "'retry.max_age' is -1, but must be a duration such as \"30s\"" },
    { { atempts = 3 }, "'retry' is a table, but must be a table without 'atempts': did you mean "
      .. "'attempts'? (known: attempts, delay, factor, jitter, max_age, max_delay)" },
  }
  for i, case in ipairs(wrong) do
    it("refuses what is wrong, " .. i, function()
      local s, why = settings.check { retry = case[1] }
      assert.is_nil(s)
      assert.truthy(why:find(case[2], 1, true), why)
    end)
  end
end)

describe("the setting admin", function()
  local function admin(value)
    local checked, why = settings.check { admin = value }
    return checked and checked.admin, why
  end

  it("is an address, or a table with one", function()
    assert.is_nil(settings.check({}).admin)
    assert.same({ listen = "127.0.0.1:9120", rate = 50 }, admin "127.0.0.1:9120")
    assert.same({ listen = "unix:a.sock", rate = 50 }, admin "unix:a.sock")
    assert.same({ listen = "[::1]:0", hosts = "a.example b-2", rate = 5, read_token_file = "r" },
      admin { listen = "[::1]:0", hosts = { "A.example", "b-2" }, rate = 5, read_token_file = "r" })
  end)

  it("wants a token where other machines reach it", function()
    for _, listen in ipairs { "0.0.0.0:9120", "10.0.0.5:9120", "[::]:9120" } do
      local _, why = admin(listen)
      assert.matches("must be a table with a token_file, since .* is reached from other machines", why)
      assert.truthy(admin { listen = listen, token_file = "t" })
      assert.truthy(admin { listen = listen, read_token_file = "t" })
    end
  end)

  it("says which part is wrong", function()
    for _, case in ipairs {
      { {}, "'admin' is a table, but must be an address" }, { 9120, "'admin' is 9120, but must be an address" },
      { "localhost:9120", "'admin.listen' is \"localhost:9120\", but must be HOST:PORT" },
      { { listen = "127.0.0.1:1", token = "x" }, "without 'token': did you mean 'token_file'" },
      { { listen = "127.0.0.1:1", hosts = "a" }, "'admin.hosts' is \"a\", but must be a list of 1 to 16 names" },
      { { listen = "127.0.0.1:1", hosts = { "a b" } }, "must be a list of 1 to 16 names" },
      { { listen = "127.0.0.1:1", hosts = {} }, "must be a list of 1 to 16 names" },
      { { listen = "127.0.0.1:1", rate = 0 }, "'admin.rate' is 0, but must be a whole number from 1 to 10000" },
      { { listen = "127.0.0.1:1", token_file = "" }, "'admin.token_file' is \"\", but must be a text" },
    } do
      local checked, why = admin(case[1])
      assert.is_nil(checked)
      assert.truthy(why:find(case[2], 1, true), why)
    end
  end)

  it("holds a secret with a token", function()
    assert.is_true(settings.hold_secrets(assert(settings.check { admin = { listen = "127.0.0.1:1", token_file = "t" } })))
    assert.is_false(settings.hold_secrets(assert(settings.check { admin = "127.0.0.1:1" })))
  end)
end)

describe("settings.again", function()
  local function again(now, before)
    return settings.again(assert(settings.check(now)), assert(settings.check(before)))
  end

  it("names what changed and needs a restart, in the order of the schema", function()
    assert.equal("", again({}, {}).restart)
    assert.equal("store, include, inbox_window", again(
      { store = "b.db", include = { "a", "c" }, inbox_window = "1d" }, { include = { "a", "b" } }).restart)
    assert.equal("recent_messages", again({ recent_messages = 7 }, {}).restart)
  end)

  it("does not name what takes effect at once", function()
    local now = again({ log_level = "warn", handler_timeout = "1s", handler_memory = "1MiB",
      retry = { attempts = 3 }, publish_retry = { attempts = 4 }, history = "30d" }, {})
    assert.equal("", now.restart)
    assert.same({ "warn", 1000, 1 << 20, 3, 4 }, { now.log_level, now.handler_timeout,
      now.handler_memory, now.retry.attempts, now.publish_retry.attempts })
  end)

  it("looks at the heartbeat that is in force", function()
    local s, why = again({ heartbeat = "1m", handler_timeout = "20s" }, {})
    assert.is_nil(s)
    assert.matches("handler_timeout %(20000 ms%) must be at most half of the heartbeat in force "
      .. "%(15000 ms%)", why)
  end)
end)

describe("settings.load", function()
  local shop

  before_each(function() shop = helper.enter() end)
  after_each(helper.leave)

  local function load_text(text, overrides)
    if text then shop:write("herald.lua", text) end
    return settings.load("shop", overrides or {})
  end

  it("reads herald.lua", function()
    local s = assert(load_text('return { name = "orders", store = "orders.db" }'))
    assert.same({ "orders", "orders.db", "embedded" }, { s.name, s.store, s.broker })
  end)

  it("lets overrides stand above the file", function()
    local s = assert(load_text('return { broker = "embedded", log_level = "warn" }',
      { broker = "amqp://h/", log_level = "debug" }))
    assert.same({ "amqp://h/", "debug" }, { s.broker, s.log_level })
  end)

  it("checks overrides, too", function()
    local s, why = load_text("return {}", { log_level = "loud" })
    assert.is_nil(s)
    assert.matches("^%-%-log%-level or HERALD_LOG_LEVEL: setting 'log_level' is \"loud\"", why)
    s, why = load_text('return { log_level = "loud" }', { broker = "embedded" })
    assert.is_nil(s)
    assert.matches("^herald.lua: setting 'log_level' is \"loud\"", why)
  end)

  it("says which folder has no herald.lua, and what to do", function()
    local s, why = load_text(nil)
    assert.is_nil(s)
    assert.matches("^no router in shop: herald.lua cannot be read %(.*No such file", why)
    assert.matches("%-C DIR", why)
  end)

  it("names file and line of a syntax error", function()
    local s, why = load_text("return {\n  store = = 1\n}")
    assert.is_nil(s)
    assert.matches("^herald.lua:2: ", why)
  end)

  it("is data only: there is nothing to call", function()
    local s, why = load_text('return { store = os.getenv("HOME") }')
    assert.is_nil(s)
    assert.matches("^herald.lua:1: .*data only", why)
  end)

  it("has no methods of strings either, and everybody else keeps them", function()
    local s, why = load_text('return { store = ("x"):rep(10) }')
    assert.is_nil(s)
    assert.matches("^herald.lua:1: .*data only", why)
    assert.equal("xx", ("x"):rep(2))
  end)

  it("cannot run for ever", function()
    local s, why = load_text("while true do end")
    assert.is_nil(s)
    assert.matches("^herald.lua:1: it runs for ever", why)
  end)

  it("is text only", function()
    local s, why = load_text(string.dump(load "return {}"))
    assert.is_nil(s)
    assert.matches("binary chunk", why)
  end)

  it("must return a table", function()
    local s, why = load_text("local t = {}")
    assert.is_nil(s)
    assert.equal("herald.lua must return a table of settings, but returned nil", why)
  end)

  it("says that a wrong setting stands in herald.lua", function()
    local _, why = load_text("return { publish_window = 0 }")
    assert.matches("^herald.lua: setting 'publish_window' is 0", why)
  end)
end)
