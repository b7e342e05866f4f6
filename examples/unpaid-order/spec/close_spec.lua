-- What waits, what takes it back, and what comes too late: the clock is moved, nobody waits.
-- Run: herald -C examples/unpaid-order test

local testing = require "herald.testing"

describe("an order", function()
  local router

  before_each(function()
    router = testing.start { now = "2026-01-31T12:00:00Z" }
    router:deliver { type = "order_placed", business_key1 = 16 }
    router:run()
  end)

  local function assert_status(status)
    assert.equal(status, router:value "select status from orders where id = 16")
  end

  it("is closed a quarter of an hour later", function()
    assert.outbox(router, { type = "close_order", key = "close-order-16", due_at = router:now() + 900000 })
    router:advance "14m"
    assert_status "open"
    router:advance "1m"
    assert_status "closed"
    assert.same({}, router:outbox())
  end)

  it("that is paid is never closed", function()
    router:advance "14m"
    router:deliver { type = "payresult_notify", business_key1 = 16 }
    router:run()
    assert.same({}, router:outbox())
    router:advance "1h"
    assert_status "paid"
    assert.equal(0, #router:published())
  end)

  it("that is placed again gets its time anew", function()
    router:advance "10m"
    router:deliver { type = "order_placed", business_key1 = 16 }
    router:advance "10m"
    assert_status "open"
    assert.equal(1, #router:outbox())
    router:advance "5m"
    assert_status "closed"
    assert.equal(1, #router:published())
  end)

  it("that is paid too late is closed, and the payment is a dead letter", function()
    router:advance "15m"
    router:deliver { type = "payresult_notify", business_key1 = 16 }
    router:run()
    assert_status "closed"
    assert.dead(router, { type = "payresult_notify", error = "order 16 is not open" })
  end)
end)
