-- herald retries: from its words to what it prints.

local helper = require "helper"
local herald = helper.herald

describe("herald retries", function()
  local undo, retry

  before_each(function()
    helper.reset()
    undo = helper.with_herald_lua 'return { store = "shop.db" }'
    retry = {
      id = 4, due_at = 1764000000123, first_at = 1763999990000, queue = "q", message_id = "m:1",
      type = "t", key1 = "16", key2 = "60201", attempts = 2, error = "not\nyet", generation = 3,
      orphaned = false, behind = false,
    }
  end)

  after_each(function() undo() end)

  it("list says when there is none, or none that is meant", function()
    helper.answers.retries_list = { {} }
    assert.same({ 0, "no retries\n", "" }, { herald("retries", "list") })
    assert.same({ 0, "nothing matches\n", "" }, { herald("retries", "list", "--queue", "q") })
    assert.same({ 0, "[]\n", "" }, { herald("retries", "list", "--json") })
  end)

  it("list shows a retry a line", function()
    helper.answers.retries_list = { { retry } }
    local _, out = herald("retries", "list")
    assert.equal("ID  DUE                   QUEUE  TYPE  ORDER  TRIES  STATE    ERROR\n"
      .. "4   2025-11-24T16:00:00Z  q      t     60201  2      waiting  not yet\n", out)
    retry.orphaned = true
    assert.matches("orphaned", (select(2, herald("retries", "list"))))
  end)

  it("list --json has every part of a retry", function()
    helper.answers.retries_list = { { retry } }
    local _, out = herald("retries", "list", "--json")
    assert.equal('[{"id":4,"message_id":"m:1","type":"t","order_type":"60201","queue":"q","attempts":2,'
      .. '"due_at":"2025-11-24T16:00:00.123Z","first_at":"2025-11-24T15:59:50.000Z","orphaned":false,'
      .. '"error":"not\\nyet","business_key1":"16","business_key2":"60201","business_key3":null,'
      .. '"generation":3,"lane":null,"behind":false}]\n', out)
  end)

  it("list shows who waits behind another one, and has no time", function()
    retry.behind, retry.lane, retry.due_at = true, "business_key1=16", math.maxinteger
    helper.answers.retries_list = { { retry } }
    assert.matches("4   %-    q      t     60201  2      behind  not yet", (select(2, herald("retries", "list"))))
    assert.matches('"due_at":null,.*"lane":"business_key1=16","behind":true',
      (select(2, herald("retries", "list", "--json"))))
  end)

  it("list pages and filters", function()
    helper.answers.retries_list = { { retry } }
    local _, _, err = herald("retries", "list", "--limit", "1", "--after", "3", "--error", "yet")
    assert.equal("herald: the first 1; more with --after 4\n", err)
    local _, pick = helper.call "retries_list"
    assert.same({ any = true, error = "yet", limit = 1, after = 3 }, pick)
    assert.equal(2, (herald("retries", "list", "--limit", "1000001")))
    assert.equal(2, (herald("retries", "list", "--side", "inbox"))) -- dead letters have sides
    assert.equal(2, (herald("retries", "list", "--group", "1")))
  end)

  it("now asks for those that are due later", function()
    helper.answers.retries_now = { 2 }
    assert.same({ 0, "made due 2 retries\n", "" }, { herald("retries", "now", "--queue", "q") })
    local _, pick = helper.call "retries_now"
    assert.same({ any = true, queue = "q", dry_run = false, later = true }, pick)
    assert.equal("would make due 2 retries\n", (select(2, herald("retries", "now", "--all", "--dry-run"))))
    assert.equal('{"made_due":2,"skipped":1,"dry_run":false}\n',
      (select(2, herald("retries", "now", "1", "2", "3", "--json"))))
  end)

  it("drop must know what is meant, and says what it did", function()
    assert.equal(2, (herald("retries", "drop")))
    assert.equal(2, (herald("retries", "now")))
    assert.is_nil(helper.call "retries_drop")
    helper.answers.retries_drop = { 1 }
    assert.same({ 0, "dropped 1 retry; 1 skipped: not among the retries: handled, dead or dropped already\n", "" },
      { herald("retries", "drop", "4", "5") })
    helper.answers.retries_drop = { nil, "failed", "no store at shop.db" }
    assert.same({ 1, "", "herald: no store at shop.db\n" }, { herald("retries", "drop", "--all") })
  end)
end)
