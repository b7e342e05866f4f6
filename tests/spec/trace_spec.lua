-- herald trace: what became of a message, told from all places where it can be.

local core = require "herald.core"
local helper = require "helper"
local trace = require "cli.trace"

describe("herald trace", function()
  after_each(helper.leave)

  local NOW <const> = 1700000000000

  -- Returns its exit code (nil: done), its problem, what it printed, and that to stderr.
  local function run(args)
    local results, out, err = helper.caught(trace.run, args)
    return results[1], results[2], out, err
  end

  -- What it printed has these texts, one behind the other.
  local function assert_in_order(out, texts)
    local at = 1
    for _, text in ipairs(texts) do
      local from, to = out:find(text, at, true)
      assert.truthy(from, ("%q is not behind byte %d of:\n%s"):format(text, at, out))
      at = to + 1
    end
  end

  before_each(function()
    helper.enter 'return { store = "shop.db", history = "30d" }'
    helper.add("herald_history", { at = NOW + 1, side = "outbox", outcome = "confirmed", attempts = 1,
      generation = 3, message_id = "m1", type = "paid", business_key1 = "16", exchange = "pay" })
    helper.add("herald_history", { at = NOW + 5, side = "inbox", outcome = "handled", queue = "mail", attempts = 1,
      generation = 3, message_id = "m1", type = "paid", business_key1 = "16" })
    helper.add("herald_dead", { side = "inbox", queue = "enrol", attempts = 2, error = "no course", generation = 3,
      at = NOW + 9, message_id = "m1", type = "paid", business_key1 = "16",
      tries = '{"at":1700000000003,"attempt":1,"generation":3,"took_ms":12,"error":"busy"}' })
    helper.add("herald_inbox", { queue = "mail", message_id = "m1", state = 0, at = NOW + 5 })
    helper.add("herald_inbox", { queue = "enrol", message_id = "m1", state = 2, at = NOW + 9 })
    helper.add("herald_outbox", { type = "reminder", created_at = NOW + 6, business_key1 = "16", due_at = NOW + 86400000,
      message_id = "r1" })
    helper.add("herald_outbox", { type = "paid", created_at = NOW, business_key1 = "7", message_id = "other" })
  end)

  it("puts what happened to a message in order, and what is so now at the end", function()
    local code, _, out, err = run { id = "m1" }
    assert.is_nil(code)
    assert.equal('herald: no trace: what handlers emitted is told of messages that belong to one; '
      .. 'trace_context = "make" gives one to each\n', err)
    assert_in_order(out, { "2023-11-14T22:13:20.001Z  outbox", "confirmed under generation 3, 1 attempt to exchange pay",
      "2023-11-14T22:13:20.003Z  queue enrol", "attempt 1 failed after 12 ms under generation 3: busy",
      "2023-11-14T22:13:20.005Z  queue mail", "handled under generation 3, 1 attempt",
      "queue mail", "is done here: a repeat changes nothing",
      "2023-11-14T22:13:20.009Z  queue enrol", "became dead letter 1 after 2 attempts: no course",
      "now", "lies among the dead letters: herald dead show 1" })
    assert.is_nil(out:find("r1", 1, true))
  end)

  it("tells what a handler emitted, and what became of that", function()
    run { id = "m1" } -- the store is made by who needs it
    local trace_id, spans = core.trace_spans("shop.db", "mail", "m1", nil)
    local headers = ('{"traceparent":"00-%s-%s-01"}'):format(trace_id, spans[2])
    helper.add("herald_history", { at = NOW + 6, side = "outbox", outcome = "confirmed", attempts = 1,
      generation = 3, message_id = "c1", type = "mailed", headers = headers, timestamp_s = NOW // 1000 })
    helper.add("herald_dead", { side = "inbox", queue = "archive", attempts = 1, error = "full", generation = 3,
      at = NOW + 7, message_id = "c1", type = "mailed", headers = headers })
    helper.add("herald_outbox", { type = "stranger", created_at = NOW, message_id = "s1",
      headers = ('{"traceparent":"00-%s-0000000000000001-01"}'):format(trace_id) })
    local code, _, out, err = run { id = "m1" }
    assert.is_nil(code)
    assert.equal("", err)
    assert_in_order(out, { "emitted by m1: confirmed under generation 3", "c1", "emitted by m1: became dead letter" })
    assert.is_nil(out:find("s1", 1, true))
    _, _, out = run { id = "m1", json = true }
    assert.truthy(out:find('"emitted_by":"m1"', 1, true))
  end)

  it("finds all that have a business key, wherever they are", function()
    local _, _, out = run { key1 = "16" }
    assert_in_order(out, { "m1", "confirmed", "r1", "reminder  written to the outbox as row", "became dead letter",
      "now", "waits until 2023-11-15T22:13:20.000Z" })
    assert.is_nil(out:find("other", 1, true))
  end)

  it("tells a row in flight from one that is not sent yet, as the router says", function()
    local _, _, out = run { id = "other" }
    assert.matches("now +outbox +other +paid +to be sent\n$", out)
    helper.stub("router_pid", 4242)
    helper.stub("ask", { { cursor = 1000000 } })
    _, _, out = run { id = "other" }
    assert.matches("in flight: the broker has not confirmed it yet\n$", out)
  end)

  it("prints JSON", function()
    local _, _, out = run { id = "other", json = true }
    assert.matches('^{"steps":%[{"at":"2023%-11%-14T22:13:20.000Z","message_id":"other","type":"paid",'
      .. '"where":"outbox","what":"written to the outbox as row %d"},{"at":null,.*"what":"to be sent"}%],'
      .. '"unknown":%[%]}\n$', out)
  end)

  it("fails where nothing is known, and says what cannot be", function()
    helper.leave()
    helper.enter 'return { store = "shop.db" }'
    helper.make_store "shop.db"
    local code, problem, out, err = run { id = "m9" }
    assert.equal(1, code)
    assert.matches("nothing here knows of it", problem)
    assert.equal("", out)
    assert.matches('no history: herald%.lua has no history = "30d"', err)
  end)

  it("wants to know which message", function()
    for words, args in pairs {
      ["which message%?"] = {},
      ["which message%? Give"] = { type = "paid" },
      ["are the same"] = { id = "m1", message_id = "m1" },
      ['%-%-since is "soon"'] = { id = "m1", since = "soon" },
    } do
      local code, problem = run(args)
      assert.equal(2, code)
      assert.matches(words, problem)
    end
  end)
end)
