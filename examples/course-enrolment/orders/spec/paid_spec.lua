-- What a payment notification leaves behind (paid.sql), and what is announced of it.
-- Run: herald -C examples/course-enrolment/orders test

local testing = require "herald.testing"

local PAY_NO <const> = 1624350000000000003 -- spec/order.sql

-- The numbers of orders and rows are from outside, so the specs need no others.
local PAID <const> = { type = "payresult_notify", business_key1 = "1624350000000000001",
  order_type = "60201" }

describe("a payment", function()
  local orders

  before_each(function() orders = testing.start { sql_file = "spec/order.sql" } end)

  local function notify(pay_no) orders:sql_file("paid.sql", { pay_no = pay_no }) end

  it("changes order, pay record and outbox together", function()
    orders:advance "90s"
    notify(PAY_NO)
    assert.rows(orders, "select status from xc_orders", { { status = "600002" } })
    assert.rows(orders, "select status, pay_success_time from xc_pay_record",
      { { status = "601002", pay_success_time = "2026-01-01 00:01:30" } })
    assert.outbox(orders, PAID)
    assert.outbox(orders, { business_key3 = testing.null, body = testing.null, attempts = 0 })
  end)

  it("that is told twice writes one outbox row", function()
    notify(PAY_NO)
    notify(PAY_NO)
    assert.equal(1, #orders:outbox())
  end)

  it("that nobody asked for changes nothing", function()
    notify(1)
    assert.equal("600001", orders:value "select status from xc_orders")
    assert.same({}, orders:outbox())
  end)

  it("whose outbox row is refused changes nothing", function()
    orders:sql [[
      create trigger refuse before insert on herald_outbox
      begin select raise(abort, 'no room'); end]]
    assert.error_matches(function() notify(PAY_NO) end, "no room")
    assert.equal("600001", orders:value "select status from xc_orders")
    assert.equal("601001", orders:value "select status from xc_pay_record")
  end)
end)

describe("an announcement", function()
  local function start(options)
    options.sql_file = "spec/order.sql"
    local orders = testing.start(options)
    orders:sql_file("paid.sql", { pay_no = PAY_NO })
    return orders
  end

  it("has type, keys and the default body", function()
    local orders = start { loopback = false } -- nobody listens here, and nobody need
    orders:run()
    assert.published(orders, PAID)
    assert.published(orders, { kind = "fanout", exchange = "paynotify_exchange_fanout", body = {
      businessKey1 = "1624350000000000001", businessKey2 = "60201", id = 1,
      messageType = "payresult_notify" } })
    assert.same({}, orders:outbox())
  end)

  it("reaches whoever binds a queue", function()
    local orders = start { rules = [[
      local herald = require "herald"
      herald.subscribe { queue = "listener", from = herald.fanout "paynotify_exchange_fanout" }
      herald.on("payresult_notify", "*", function(msg) herald.log.info("heard", { key = msg.business_key1 }) end)]] }
    orders:run()
    assert.logged(orders, { text = "heard", key = "1624350000000000001" })
  end)

  it("has a message id of its own, and keeps it when it is published again", function()
    local orders = start { loopback = false }
    orders:emit { type = "payresult_notify", business_key1 = 2 }
    orders:time_out_next("payresult_notify"):advance "1h"
    local published = orders:published()
    assert.equal(3, #published)
    assert.not_equal(published[1].message_id, published[2].message_id)
    assert.equal(published[1].message_id, published[3].message_id)
  end)

  it("that the broker refuses stays, with the reason, and is published again", function()
    local orders = start { loopback = false }
    orders:nack_next("payresult_notify"):run()
    assert.outbox(orders, { type = "payresult_notify", attempts = 1, reason = "basic.nack" })
    orders:advance "1h"
    assert.same({}, orders:outbox())
    assert.equal(2, #orders:published())
  end)

  it("that no queue took stays, too", function()
    local orders = start { loopback = false }
    orders:return_next("payresult_notify"):run()
    assert.outbox(orders, { attempts = 1, reason = "no queue" })
    orders:advance "1h"
    assert.same({}, orders:outbox())
  end)
end)
