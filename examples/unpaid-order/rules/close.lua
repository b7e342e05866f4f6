-- An order that is not paid within a quarter of an hour is closed. The message that closes it
-- is written when the order is placed, waits in the outbox under a name of its own, and is
-- taken back when the payment comes first.

local herald = require "herald"

for _, type in ipairs { "order_placed", "payresult_notify", "close_order" } do
  herald.route { type = type, to = herald.direct("order_exchange", "order") }
end

herald.subscribe { queue = "order_queue", from = herald.direct("order_exchange", "order") }

local function name_of(order)
  return "close-order-" .. order
end

herald.on("order_placed", "*", function(msg, tx)
  local order = msg.business_key1
  tx:exec("insert into orders (id, status) values (?, 'open') on conflict do nothing", order)
  tx:emit { type = "close_order", business_key1 = order, delay = "15m", key = name_of(order) }
end)

-- Both look at the status: a close that is on its way already cannot be taken back.
herald.on("payresult_notify", "*", function(msg, tx)
  local order = msg.business_key1
  if tx:exec("update orders set status = 'paid' where id = ? and status = 'open'", order) == 0 then
    herald.reject("order " .. order .. " is not open: the money goes back")
  end
  tx:cancel(name_of(order))
end)

herald.on("close_order", "*", function(msg, tx)
  tx:exec("update orders set status = 'closed' where id = ? and status = 'open'", msg.business_key1)
end)
