-- herald retries: from its words to what it prints.

local helper = require "helper"
local herald = helper.herald

describe("herald retries", function()
  local retry

  before_each(function()
    helper.enter 'return { store = "shop.db" }'
    retry = {
      id = 4, due_at = 1764000000123, first_at = 1763999990000, queue = "q", message_id = "m:1",
      type = "t", business_key1 = "16", business_key2 = "60201", attempts = 2, error = "not\nyet", generation = 3,
      tries = [[
{"at":1763999990000,"attempt":1,"generation":2,"error":"first\u001b\nmore","traceback":"rules/a.lua:5\nrules/b.lua:6"}
{"at":1763999995000,"attempt":2,"generation":0,"error":"not\nyet"}
]],
    }
  end)

  after_each(helper.leave)

  local function add(changes, times)
    local row = {}
    for column, value in pairs(retry) do row[column] = value end
    for column, value in pairs(changes or {}) do row[column] = value or nil end
    helper.add("herald_retry", row, times)
  end

  it("list says when there is none, or none that is meant", function()
    helper.make_store "shop.db"
    assert.same({ 0, "no retries\n", "" }, { herald("retries", "list") })
    assert.same({ 0, "nothing matches\n", "" }, { herald("retries", "list", "--queue", "q") })
    assert.same({ 0, "[]\n", "" }, { herald("retries", "list", "--json") })
  end)

  it("list shows a retry a line", function()
    add()
    local _, out = herald("retries", "list")
    assert.equal("ID  DUE                   QUEUE  TYPE  KEY1  ORDER  TRIES  STATE    ERROR\n"
      .. "4   2025-11-24T16:00:00Z  q      t     16    60201  2      waiting  not yet\n", out)
    add { id = 5, error = "orphaned: no subscription" }
    assert.matches("\n5 .*  orphaned  orphaned: no subscription\n$", (select(2, herald("retries", "list"))))
  end)

  it("list --json has every part of a retry", function()
    add()
    local _, out = herald("retries", "list", "--json")
    assert.equal('[{"id":4,"message_id":"m:1","type":"t","order_type":"60201","queue":"q","attempts":2,'
      .. '"due_at":"2025-11-24T16:00:00.123Z","first_at":"2025-11-24T15:59:50.000Z","orphaned":false,'
      .. '"error":"not\\nyet","business_key1":"16","business_key2":"60201","business_key3":null,'
      .. '"generation":3,"lane":null,"behind":false,'
      .. '"tries":[{"at":"2025-11-24T15:59:50.000Z","attempt":1,"generation":2,'
      .. '"error":"first\\u001b\\nmore","traceback":"rules/a.lua:5\\nrules/b.lua:6"},'
      .. '{"at":"2025-11-24T15:59:55.000Z","attempt":2,"generation":0,"error":"not\\nyet"}]}]\n', out)
  end)

  it("list shows who waits behind another one, and has no time", function()
    add { lane = "business_key1=16", due_at = math.maxinteger }
    assert.matches("4   %-    q      t     16    60201  2      behind  not yet", (select(2, herald("retries", "list"))))
    assert.matches('"due_at":null,.*"lane":"business_key1=16","behind":true',
      (select(2, herald("retries", "list", "--json"))))
  end)

  it("list pages and filters", function()
    add()
    add { id = 2 } -- before what is asked for
    add { id = 5, error = "never" }
    add { id = 6 }
    local _, _, err = herald("retries", "list", "--limit", "1", "--after", "3", "--error", "yet")
    assert.equal("herald: the first 1; more with --after 4\n", err)
    local _, pick = helper.call "retries_list"
    assert.same({ any = true, error = "yet", limit = 1, after = 3 }, pick)
    assert.equal(2, (herald("retries", "list", "--limit", "1000001")))
    assert.equal(2, (herald("retries", "list", "--side", "inbox"))) -- dead letters have sides
    assert.equal(2, (herald("retries", "list", "--group", "1")))
  end)

  it("show tells all, and what each try came to", function()
    add { body = "{}", exchange = "x", headers = '{"a":1}' }
    local code, out, err = herald("retries", "show", "4")
    assert.same({ 0, "" }, { code, err })
    assert.equal([[
id             4
due            2025-11-24T16:00:00.123Z
first tried    2025-11-24T15:59:50.000Z
state          waiting
queue          q
lane           -
message id     m:1
type           t
business keys  16  60201  -
exchange       x
routing key    -
attempts       2
rules          generation 3
headers        {"a":1}
content type   -
timestamp      -
properties     -
body           {}
error          not yet

TRIED AT                  ATTEMPT  RULES          ERROR        WHERE
2025-11-24T15:59:50.000Z  1        generation 2   first  more  rules/a.lua:5
2025-11-24T15:59:55.000Z  2        herald itself  not yet      -
]], out)
    assert.same({ "shop.db", 4 }, { helper.call "retries_get" })
  end)

  it("show --json has what list leaves out", function()
    add { body = "\xff", exchange = "x", tries = false }
    local _, out = herald("retries", "show", "4", "--json")
    assert.truthy(out:find('"tries":[],"exchange":"x","body_base64":"/w=="}\n', 1, true), out)
  end)

  it("show refuses what is no id, and fails for what is not there", function()
    assert.equal(2, (herald("retries", "show", "0")))
    assert.equal(2, (herald("retries", "show")))
    helper.make_store "shop.db"
    assert.same({ 1, "", "herald: no retry 9: `herald retries list` shows those there are\n" },
      { herald("retries", "show", "9") })
  end)

  it("now asks for those that are due later", function()
    local later = 4102444800000 -- in 2100
    add { id = 1, due_at = later }
    add { id = 2, due_at = later }
    add { id = 3 } -- due already
    assert.equal("would make due 2 retries\n", (select(2, herald("retries", "now", "--all", "--dry-run"))))
    assert.same({ 0, "made due 2 retries\n", "" }, { herald("retries", "now", "--queue", "q") })
    local _, pick = helper.call "retries_now"
    assert.same({ any = true, queue = "q", dry_run = false, later = true }, pick)
    helper.sql(("update herald_retry set due_at = %d where id < 3"):format(later))
    assert.equal('{"made_due":2,"skipped":1,"dry_run":false}\n',
      (select(2, herald("retries", "now", "1", "2", "3", "--json"))))
  end)

  it("drop must know what is meant, and says what it did", function()
    assert.equal(2, (herald("retries", "drop")))
    assert.equal(2, (herald("retries", "now")))
    assert.is_nil(helper.call "retries_drop")
    add()
    assert.same({ 0, "dropped 1 retry; 1 skipped: not among the retries: handled, dead or dropped already\n", "" },
      { herald("retries", "drop", "4", "5") })
    assert.equal("0\n", helper.sql "select count(*) from herald_retry")
    local code, _, err = herald("retries", "drop", "--all", "--store", "other.db")
    assert.equal(1, code)
    assert.matches("^herald: no store at other%.db: `herald run`", err)
  end)
end)
