-- herald outbox: from its words to what it prints.

local helper = require "helper"
local herald = helper.herald

describe("herald outbox", function()
  local row

  before_each(function()
    helper.enter 'return { store = "shop.db" }'
    row = {
      id = 9, created_at = 1764000000123, due_at = 1764000060000, message_id = "s:9", type = "t",
      business_key1 = "16", business_key2 = "60201", attempts = 2, reason = "no queue\ntook it",
    }
  end)

  after_each(helper.leave)

  local function add(changes, times)
    local columns = {}
    for column, value in pairs(row) do columns[column] = value end
    for column, value in pairs(changes or {}) do columns[column] = value or nil end
    helper.add("herald_outbox", columns, times)
  end

  it("list says when it is empty, or nothing is meant", function()
    helper.make_store "shop.db"
    assert.same({ 0, "the outbox is empty\n", "" }, { herald("outbox", "list") })
    assert.same({ 0, "nothing matches\n", "" }, { herald("outbox", "list", "--type", "t") })
    assert.same({ 0, "[]\n", "" }, { herald("outbox", "list", "--json") })
  end)

  it("list shows a row a line", function()
    add { key = "k" }
    helper.add("herald_outbox", { id = 10, created_at = 1764000000000, type = "付" })
    local _, out = herald("outbox", "list")
    assert.equal("ID  CREATED               TYPE  KEY1  ORDER  STATE      FAILED  DUE                   KEY  LANE  REASON\n"
      .. "9   2025-11-24T16:00:00Z  t     16    60201  postponed  2       2025-11-24T16:01:00Z  k    -     "
      .. "no queue took it\n"
      .. "10  2025-11-24T16:00:00Z  付    -     -      fresh      0       -                     -    -     -\n", out)
  end)

  it("list --json has every part of a row", function()
    add { key = "k", leg_kind = "direct", leg_exchange = "x", leg_routing_key = "rk" }
    local _, out = herald("outbox", "list", "--json")
    assert.equal('[{"id":9,"message_id":"s:9","type":"t","order_type":"60201","state":"postponed",'
      .. '"attempts":2,"reason":"no queue\\ntook it","due_at":"2025-11-24T16:01:00.000Z",'
      .. '"created_at":"2025-11-24T16:00:00.123Z","business_key1":"16","business_key2":"60201",'
      .. '"business_key3":null,"key":"k","exchange":"x","routing_key":"rk","lane":null,"waits_for":null}]\n', out)
  end)

  it("list says who is behind another row of its lane, and has no time for it", function()
    add { due_at = math.maxinteger, lane = "business_key1=16", reason = false }
    add { id = 10, lane = "business_key1=17" }
    local _, out = herald("outbox", "list", "--lane", "business_key1=16")
    assert.matches(" behind  2       %-    %-    business_key1=16  %-\n$", out)
    local _, pick = helper.call "outbox_list"
    assert.equal("business_key1=16", pick.lane)
    _, out = herald("outbox", "list", "--lane", "business_key1=16", "--json")
    assert.matches('"state":"behind","attempts":2,"reason":null,"due_at":null,', out)
    assert.matches('"lane":"business_key1=16","waits_for":null}%]\n$', out)
  end)

  it("list says what is in flight, where a router runs", function()
    add { due_at = 0, attempts = 0, reason = false }
    helper.add("herald_outbox", { id = 10, type = "t" })
    helper.stub("router_pid", 4242)
    helper.stub("ask", { { cursor = 9 } })
    local _, out = herald("outbox", "list")
    assert.matches("\n9 .* in flight .*\n10 .* fresh ", out)
    assert.matches('"id":9,.*"state":"in_flight".*"id":10,.*"state":"fresh"',
      (select(2, herald("outbox", "list", "--json"))))
  end)

  it("show has all of a row, its body too", function()
    add { body = '{"a":"王"}', headers = '{"x":1}' }
    local _, out = herald("outbox", "show", "9")
    assert.same({ "shop.db", 9 }, { helper.call "outbox_get" })
    for _, line in ipairs { "id +9", "created +2025%-11%-24T16:00:00.123Z", "state +postponed",
      "business keys +16  60201  %-", "headers +{\"x\":1}", "properties +%-", "format +%-", "body +{\"a\":\"王\"}", "reason +no queue took it" } do
      assert.matches(line .. "\n", out)
    end
    helper.sql "update herald_outbox set body = x'ff'"
    _, out = herald("outbox", "show", "9", "--json")
    assert.matches('"state":"postponed".*"headers":"{\\"x\\":1}","format":null,"body_base64":"/w=="}\n$', out)
    assert.same({ 1, "", "herald: no outbox row 8: `herald outbox list` shows those there are\n" },
      { herald("outbox", "show", "8") })
    assert.equal(2, (herald("outbox", "show", "x")))
  end)

  it("retry asks for those that failed and are due later", function()
    add { due_at = 4102444800000 } -- in 2100
    add { id = 10, due_at = 4102444800000, reason = false, attempts = 0 } -- scheduled
    assert.same({ 0, "retried 1 row; 1 skipped: not postponed: sent already, on its way, scheduled, "
      .. "behind another or dropped\n", "" }, { herald("outbox", "retry", "9", "10") })
    local _, pick = helper.call "outbox_retry"
    assert.same({ any = true, ids = { 9, 10 }, dry_run = false, later = true, failed = true }, pick)
    assert.equal("10\n", helper.sql "select id from herald_outbox where due_at = 4102444800000")
  end)

  it("drop and retry must know what is meant", function()
    for _, verb in ipairs { "drop", "retry" } do
      local code, _, err = herald("outbox", verb)
      assert.equal(2, code)
      assert.matches("which%? Give ids or filters, or %-%-all", err)
    end
    add({ id = false }, 7)
    assert.same({ 0, "dropped 7 rows\n", "" }, { herald("outbox", "drop", "--all") })
    assert.equal("0\n", helper.sql "select count(*) from herald_outbox")
    assert.equal(2, (herald("outbox", "drop", "--queue", "q"))) -- rows of the outbox have none
  end)

  it("cancel succeeds only where nothing was sent", function()
    add { key = "close-16", attempts = 0, reason = false }
    add { id = 10, key = "k", attempts = 0, reason = false }
    assert.same({ 0, "cancelled close-16: it was not sent\n", "" }, { herald("outbox", "cancel", "close-16") })
    assert.same({ "shop.db", "close-16" }, { helper.call "outbox_cancel" })
    assert.same({ 0, '{"key":"k","outcome":"cancelled"}\n', "" }, { herald("outbox", "cancel", "k", "--json") })
    add { id = 11, key = "k", first_sent_at = 1764000000500 }
    assert.same({ 1, "", "herald: k is taken out, but it may have been sent already\n" },
      { herald("outbox", "cancel", "k") })
    assert.same({ 1, '{"key":"k","outcome":"none"}\n',
      "herald: no row has the key k: sent, cancelled, or never written\n" },
      { herald("outbox", "cancel", "k", "--json") })
  end)

  it("cancel refuses what is no key", function()
    assert.same({ 2, "", "herald: KEY is empty; it has 1 to 255 bytes\n" }, { herald("outbox", "cancel", "") })
    assert.same({ 2, "", "herald: KEY is longer than 255 bytes\n" },
      { herald("outbox", "cancel", ("k"):rep(10240)) })
    assert.equal(2, (herald("outbox", "cancel")))
    assert.is_nil(helper.call "outbox_cancel")
  end)
end)
