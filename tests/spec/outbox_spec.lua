-- herald outbox: from its words to what it prints.

local helper = require "helper"
local herald = helper.herald

describe("herald outbox", function()
  local undo, row

  before_each(function()
    helper.reset()
    undo = helper.with_herald_lua 'return { store = "shop.db" }'
    row = {
      id = 9, created_at = 1764000000123, due_at = 1764000060000, message_id = "s:9", type = "t",
      key1 = "16", key2 = "60201", attempts = 2, reason = "no queue\ntook it", state = "postponed",
    }
  end)

  after_each(function() undo() end)

  it("list says when it is empty, or nothing is meant", function()
    helper.answers.outbox_list = { {} }
    assert.same({ 0, "the outbox is empty\n", "" }, { herald("outbox", "list") })
    assert.same({ 0, "nothing matches\n", "" }, { herald("outbox", "list", "--type", "t") })
    assert.same({ 0, "[]\n", "" }, { herald("outbox", "list", "--json") })
  end)

  it("list shows a row a line", function()
    row.name = "k"
    helper.answers.outbox_list = { { row, {
      id = 10, created_at = 1764000000000, due_at = 0, message_id = "s:10", type = "付", attempts = 0,
      state = "fresh",
    } } }
    local _, out = herald("outbox", "list")
    assert.equal("ID  CREATED               TYPE  KEY1  ORDER  STATE      FAILED  DUE                   KEY  LANE  REASON\n"
      .. "9   2025-11-24T16:00:00Z  t     16    60201  postponed  2       2025-11-24T16:01:00Z  k    -     "
      .. "no queue took it\n"
      .. "10  2025-11-24T16:00:00Z  付    -     -      fresh      0       -                     -    -     -\n", out)
  end)

  it("list --json has every part of a row", function()
    row.name, row.exchange, row.routing_key = "k", "x", "rk"
    helper.answers.outbox_list = { { row } }
    local _, out = herald("outbox", "list", "--json")
    assert.equal('[{"id":9,"message_id":"s:9","type":"t","order_type":"60201","state":"postponed",'
      .. '"attempts":2,"reason":"no queue\\ntook it","due_at":"2025-11-24T16:01:00.000Z",'
      .. '"created_at":"2025-11-24T16:00:00.123Z","business_key1":"16","business_key2":"60201",'
      .. '"business_key3":null,"key":"k","exchange":"x","routing_key":"rk","lane":null,"waits_for":null}]\n', out)
  end)

  it("list says who is behind another row of its lane, and has no time for it", function()
    row.state, row.due_at, row.lane, row.reason = "behind", math.maxinteger, "business_key1=16", nil
    helper.answers.outbox_list = { { row } }
    local _, out = herald("outbox", "list", "--lane", "business_key1=16")
    assert.matches(" behind  2       %-    %-    business_key1=16  %-\n$", out)
    local _, pick = helper.call "outbox_list"
    assert.equal("business_key1=16", pick.lane)
    _, out = herald("outbox", "list", "--json")
    assert.matches('"state":"behind","attempts":2,"reason":null,"due_at":null,', out)
    assert.matches('"lane":"business_key1=16","waits_for":null}%]\n$', out)
  end)

  it("list says what is in flight, where a router runs", function()
    row.due_at, row.state = 0, "fresh"
    local later = { id = 10, created_at = 1764000000000, due_at = 0, message_id = "s:10", type = "t", attempts = 0,
      state = "fresh" }
    helper.answers.outbox_list = { { row, later } }
    helper.answers.router_pid, helper.answers.ask = { 4242 }, { { { cursor = 9 } } }
    local _, out = herald("outbox", "list")
    assert.matches("\n9 .* in flight .*\n10 .* fresh ", out)
    row.state = "fresh"
    assert.matches('"id":9,.*"state":"in_flight".*"id":10,.*"state":"fresh"',
      (select(2, herald("outbox", "list", "--json"))))
  end)

  it("show has all of a row, its body too", function()
    row.body, row.headers = '{"a":"王"}', '{"x":1}'
    helper.answers.outbox_get = { row }
    local _, out = herald("outbox", "show", "9")
    assert.same({ "shop.db", 9 }, { helper.call "outbox_get" })
    for _, line in ipairs { "id +9", "created +2025%-11%-24T16:00:00.123Z", "state +postponed",
      "business keys +16  60201  %-", "headers +{\"x\":1}", "body +{\"a\":\"王\"}", "reason +no queue took it" } do
      assert.matches(line .. "\n", out)
    end
    row.body = "\xff"
    _, out = herald("outbox", "show", "9", "--json")
    assert.matches('"state":"postponed".*"headers":"{\\"x\\":1}","body_base64":"/w=="}\n$', out)
    helper.answers.outbox_get = { nil, "failed", "no outbox row 8" }
    assert.same({ 1, "", "herald: no outbox row 8\n" }, { herald("outbox", "show", "8") })
    assert.equal(2, (herald("outbox", "show", "x")))
  end)

  it("retry asks for those that failed and are due later", function()
    helper.answers.outbox_retry = { 1 }
    assert.same({ 0, "retried 1 row; 1 skipped: not postponed: sent already, on its way, scheduled, "
      .. "behind another or dropped\n", "" }, { herald("outbox", "retry", "9", "10") })
    local _, pick = helper.call "outbox_retry"
    assert.same({ any = true, ids = { 9, 10 }, dry_run = false, later = true, failed = true }, pick)
  end)

  it("drop and retry must know what is meant", function()
    for _, verb in ipairs { "drop", "retry" } do
      local code, _, err = herald("outbox", verb)
      assert.equal(2, code)
      assert.matches("which%? Give ids or filters, or %-%-all", err)
    end
    helper.answers.outbox_drop = { 7 }
    assert.same({ 0, "dropped 7 rows\n", "" }, { herald("outbox", "drop", "--all") })
    assert.equal(2, (herald("outbox", "drop", "--queue", "q"))) -- rows of the outbox have none
  end)

  it("cancel succeeds only where nothing was sent", function()
    helper.answers.outbox_cancel = { "cancelled" }
    assert.same({ 0, "cancelled close-16: it was not sent\n", "" }, { herald("outbox", "cancel", "close-16") })
    assert.same({ "shop.db", "close-16" }, { helper.call "outbox_cancel" })
    assert.same({ 0, '{"key":"k","outcome":"cancelled"}\n', "" }, { herald("outbox", "cancel", "k", "--json") })
    helper.answers.outbox_cancel = { "sent" }
    assert.same({ 1, "", "herald: k is taken out, but it may have been sent already\n" },
      { herald("outbox", "cancel", "k") })
    helper.answers.outbox_cancel = { "none" }
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
