-- What a payment notification leaves behind (paid.sql), and what is announced of it.

local spec_helper = require "spec_helper"

local PAY_NO = "1624350000000000003"

describe("a payment", function()
  local orders

  before_each(function()
    orders = spec_helper.copy "orders"
    orders:sql [[
      insert into xc_orders (id, total_price, user_id, order_type, order_name, out_business_id)
      values (1624350000000000002, 99.90, '王小明', '60201', '《Lua 程序设计》', '1624350000000000001');
      insert into xc_pay_record (id, pay_no, order_id, total_price)
      values (1624350000000000004, 1624350000000000003, 1624350000000000002, 99.90);]]
  end)

  after_each(function() orders:remove() end)

  local function notify(pay_no)
    orders:sql((".parameter set :pay_no %s\n.read '%s/paid.sql'"):format(pay_no, orders.folder))
  end

  it("changes order, pay record and outbox together", function()
    notify(PAY_NO)
    assert.equal("600002", orders:sql "select status from xc_orders")
    assert.equal("601002|1",
      orders:sql "select status, pay_success_time is not null from xc_pay_record")
    assert.equal("payresult_notify|1624350000000000001|60201||1", orders:sql [[
      select type, business_key1, business_key2, business_key3, body is null from herald_outbox]])
  end)

  it("that is told twice writes one outbox row", function()
    notify(PAY_NO)
    notify(PAY_NO)
    assert.equal("1", orders:sql "select count(*) from herald_outbox")
  end)

  it("that nobody asked for changes nothing", function()
    notify "1"
    assert.equal("600001", orders:sql "select status from xc_orders")
    assert.equal("0", orders:sql "select count(*) from herald_outbox")
  end)

  it("whose outbox row is refused changes nothing", function()
    orders:sql [[
      create trigger refuse before insert on herald_outbox
      begin select raise(abort, 'no room'); end]]
    assert.error_matches(function() notify(PAY_NO) end, "no room")
    assert.equal("600001", orders:sql "select status from xc_orders")
    assert.equal("601001", orders:sql "select status from xc_pay_record")
  end)

  -- A queue that no handler wants anything of keeps what arrives as a dead letter.
  local LISTEN = [[
    local herald = require "herald"
    herald.subscribe {
      queue = "listener",
      from = herald.fanout "paynotify_exchange_fanout",
      unhandled = "dead",
    }]]

  it("is announced with type, keys and the default body", function()
    orders:file("rules/listen.lua", LISTEN)
    notify(PAY_NO)
    orders:run()
    assert.equal("0", orders:sql "select count(*) from herald_outbox")
    assert.equal("listener|paynotify_exchange_fanout|payresult_notify|1624350000000000001|60201|",
      orders:sql [[
        select queue, exchange, type, business_key1, business_key2, business_key3
          from herald_dead]])
    assert.equal('{"businessKey1":"1624350000000000001","businessKey2":"60201","id":1,'
      .. '"messageType":"payresult_notify"}', orders:sql "select body from herald_dead")
  end)

  it("has a message id of its own", function()
    orders:file("rules/listen.lua", LISTEN)
    notify(PAY_NO)
    orders:herald("emit", "--type", "payresult_notify", "--key1", "2", "--key2", "60201")
    orders:run()
    assert.equal("2", orders:sql "select count(distinct message_id) from herald_dead")
  end)
end)
