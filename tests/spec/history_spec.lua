-- herald history: from its words to what it prints.

local helper = require "helper"
local herald = helper.herald

describe("herald history", function()
  local shop, row

  before_each(function()
    shop = helper.enter 'return { store = "shop.db", history = "30d" }'
    row = {
      id = 7, at = 1764000000123, side = "inbox", outcome = "done", queue = "q", message_id = "m:1",
      type = "t\27", business_key1 = "16", business_key2 = "60201", attempts = 2, generation = 3, exchange = "x",
      routing_key = "k", headers = '{"a":1}',
    }
  end)

  after_each(helper.leave)

  local function add(changes)
    local columns = {}
    for column, value in pairs(row) do columns[column] = value end
    for column, value in pairs(changes or {}) do columns[column] = value or nil end
    helper.add("herald_history", columns)
  end

  it("list says when there is none, none that is meant, or when it is off", function()
    helper.make_store "shop.db"
    assert.same({ 0, "no history\n", "" }, { herald("history", "list") })
    assert.same({ 0, "nothing matches\n", "" }, { herald("history", "list", "--queue", "q") })
    assert.same({ 0, "nothing matches\n", "" }, { herald("history", "list", "--since", "1h") })
    assert.same({ 0, "[]\n", "" }, { herald("history", "list", "--json") })
    shop:write("herald.lua", 'return { store = "shop.db" }')
    assert.same({ 0, 'no history: herald.lua has no history = "30d"\n', "" }, { herald("history", "list") })
  end)

  it("list shows a message a line", function()
    add()
    assert.equal("ID  AT                    OUTCOME  QUEUE  TYPE  KEY1  ORDER  TRIES  MESSAGE ID\n"
      .. "7   2025-11-24T16:00:00Z  done     q      t     16    60201  2      m:1\n",
      (select(2, herald("history", "list"))))
    helper.sql "update herald_history set side = 'outbox', outcome = 'confirmed', queue = null, business_key1 = null"
    assert.matches("confirmed  outbox  t     %-     60201", (select(2, herald("history", "list"))))
  end)

  it("list --json has every part but the body", function()
    add { queue = false, type = "t", body = "{}" }
    assert.equal('[{"id":7,"at":"2025-11-24T16:00:00.123Z","side":"inbox","outcome":"done",'
      .. '"message_id":"m:1","type":"t","order_type":"60201","queue":null,"attempts":2,"generation":3,'
      .. '"business_key1":"16","business_key2":"60201","business_key3":null,"exchange":"x",'
      .. '"routing_key":"k","headers":"{\\"a\\":1}"}]\n', (select(2, herald("history", "list", "--json"))))
  end)

  it("list pages and filters", function()
    add { type = "t", at = 1739000000000 }
    add { id = 8, type = "t" } -- too late
    add { id = 9, at = 1739000000001 }
    local code, _, err = herald("history", "list", "--limit", "1", "--after", "9", "--type", "t",
      "--order-type", "60201", "--queue", "q", "--side", "inbox", "--since", "2025-01-31",
      "--before", "2025-02-28T23:59:59.250Z")
    assert.same({ 0, "herald: the first 1; more with --after 7\n" }, { code, err })
    local store, pick = helper.call "history_list"
    assert.equal("shop.db", store)
    assert.same({
      any = true, type = "t", order_type = "60201", queue = "q", side = "inbox", limit = 1, after = 9,
      since_ms = 1738281600000, before_ms = 1740787199250,
    }, pick)
  end)

  it("takes times as people write them", function()
    helper.make_store "shop.db"
    for text, wanted in pairs {
      ["1970-01-01"] = 1, -- 0 would be no time
      ["1970-01-01T00:00:01Z"] = 1000,
      ["2000-02-29 12:34"] = 951827640000,
      ["2024-12-31T23:59Z"] = 1735689540000,
      ["2025-03-01T00:00:00"] = 1740787200000,
      ["9999-12-31T23:59:59.999Z"] = 253402300799999,
    } do
      assert.equal(0, (herald("history", "list", "--since", text)), text)
      assert.equal(wanted, select(2, helper.call "history_list").since_ms, text)
    end
    assert.equal(0, (herald("history", "list", "--before", "2h")))
    local ago = os.time() * 1000 - select(2, helper.call "history_list").before_ms
    assert.truthy(ago >= 7200000 and ago < 7260000)
    herald("history", "list", "--since", "36500d")
    assert.equal(1, select(2, helper.call "history_list").since_ms)
  end)

  for _, case in ipairs {
    { { "--since", "soon" }, '--since is "soon", but must be a time such as 2025-01-31 or' },
    { { "--since", "" }, '--since is "", but must be a time' },
    { { "--before", "2025-02-29" }, '--before is "2025-02-29", but must be a time' },
    { { "--before", "2025-13-01" }, '--before is "2025-13-01", but must be a time' },
    { { "--before", "2025-01-01T24:00" }, '--before is "2025-01-01T24:00", but must be a time' },
    { { "--before", "2025-01-01T10:00:00+01:00" }, "but must be a time" },
    { { "--before", "20250101" }, "but must be a time" },
    { { "--limit", "0" }, '--limit is "0", but must be a whole number from 1 to 1000000' },
    { { "--after", "x" }, '--after is "x", but must be a whole number' },
    { { "--side", "left" }, "'--side' must be one of 'inbox', 'outbox'" },
    { { "--error", "x" }, "unknown option '--error'" },
    { { "7" }, "too many arguments" },
  } do
    it("list refuses " .. table.concat(case[1], " "), function()
      local code, _, err = herald("history", "list", table.unpack(case[1]))
      assert.equal(2, code)
      assert.truthy(err:find(case[2], 1, true), err)
      assert.is_nil(helper.call "history_list")
    end)
  end

  it("show tells all", function()
    add { body = "{}\27[2J" }
    local code, out = herald("history", "show", "7")
    assert.equal(0, code)
    assert.equal([[
id             7
at             2025-11-24T16:00:00.123Z
side           inbox
outcome        done
queue          q
message id     m:1
type           t 
business keys  16  60201  -
exchange       x
routing key    k
attempts       2
rules          generation 3
headers        {"a":1}
content type   -
timestamp      -
properties     -
body           {} [2J
]], out)
    assert.same({ "shop.db", 7 }, { helper.call "history_get" })
    helper.sql "update herald_history set body = x'ff'"
    assert.truthy((select(2, herald("history", "show", "7", "--json"))):find('"headers":"{\\"a\\":1}",'
      .. '"body_base64":"/w=="}\n', 1, true))
  end)

  it("show refuses what is no id, and fails for what is not there", function()
    assert.equal(2, (herald("history", "show", "-1")))
    assert.equal(2, (herald("history", "show")))
    helper.make_store "shop.db"
    assert.same({ 1, "", "herald: no message 9 in the history: `herald history list` shows those there are\n" },
      { herald("history", "show", "9") })
  end)
end)
