-- herald status --watch: what is drawn. That it is drawn again and again, and how it ends, is tested on
-- a terminal (integration's command_watch).

local helper = require "helper"
local status = require "cli.status"
local watch = require "cli.watch"

describe("herald status --watch", function()
  it("draws a bar for each number, the tallest for the largest", function()
    assert.equal("", watch.bars {})
    assert.equal("▁▁", watch.bars { 0, 0 })
    assert.equal("▁▅█▂", watch.bars { 0, 50, 100, 1 })
  end)

  it("shows how many a second, from one look to the next", function()
    local seen = {}
    watch.note(seen, { { "turns", 1 }, { "handled", 10 }, { "dead", 0 } }, 1000)
    assert.same({ "handled", "     0.0/s  " }, watch.rates(seen)[1])
    watch.note(seen, { { "turns", 2 }, { "handled", 30 }, { "dead", 0 } }, 3000)
    watch.note(seen, { { "turns", 3 }, { "handled", 35 }, { "dead", 1 } }, 4000)
    assert.same({ "handled", "     5.0/s  █▅" }, watch.rates(seen)[1])
    assert.same({ "dead", "     1.0/s  ▁█" }, watch.rates(seen)[4])
  end)

  it("begins anew with another router, and keeps few looks", function()
    local seen = {}
    for n = 1, 100 do watch.note(seen, { { "turns", n }, { "handled", n } }, n * 1000) end
    assert.equal(41, #seen)
    watch.note(seen, { { "turns", 1 }, { "handled", 1 } }, 101000)
    assert.equal(1, #seen)
  end)

  it("leaves the terminal as it was after each picture", function()
    assert.equal("\27[H\27[?7la\27[K\nb\27[K\n\27[J\27[?7h", watch.frame "a\nb")
  end)

  it("draws for people only", function()
    helper.enter 'return { store = "shop.db" }'
    finally(helper.leave)
    helper.stub("stdout_is_terminal", false)
    local results = helper.caught(status.run, { watch = {} })
    assert.equal(2, results[1])
    assert.matches("^%-%-watch draws on a terminal", results[2])
    results = helper.caught(status.run, { watch = { "0" } })
    assert.matches("^%-%-watch is \"0\", but must be a whole number", results[2])
  end)
end)
