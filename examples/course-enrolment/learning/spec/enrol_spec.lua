-- What the learning service makes of a payment.

local spec_helper = require "spec_helper"

local CHOICE = "1624350000000000001"

describe("a paid course", function()
  local learning

  before_each(function()
    learning = spec_helper.copy "learning"
    -- Here the order service is missing, so this router announces payments itself.
    learning:file("rules/announce.lua", [[
      local herald = require "herald"
      herald.route {
        type = "payresult_notify",
        to = herald.fanout "paynotify_exchange_fanout",
      }]])
    learning:sql [[
      insert into xc_choose_course (id, course_id, course_name, user_id, company_id, order_type,
                                    course_price, valid_days, status)
      values (1624350000000000001, 2, '《Lua 程序设计》', '王小明', 1232141425, '700002',
              99.90, 365, '701002');]]
  end)

  after_each(function() learning:remove() end)

  local function announce(...)
    learning:herald("emit", "--type", "payresult_notify", ...)
    learning:run()
  end

  local function dead()
    return learning:sql "select queue, attempts, error from herald_dead"
  end

  local ENROLLED = [[
    select choose_course_id, user_id, course_id, company_id, course_name, course_type,
           julianday(validtime_end) - julianday(validtime_start)
      from xc_course_tables]]

  it("is enrolled", function()
    announce("--key1", CHOICE, "--key2", "60201")
    assert.equal("701001", learning:sql "select status from xc_choose_course")
    assert.equal("1624350000000000001|王小明|2|1232141425|《Lua 程序设计》|700002|365.0",
      learning:sql(ENROLLED))
    assert.equal("", dead())
  end)

  it("is enrolled once, however often the payment is announced", function()
    announce("--key1", CHOICE, "--key2", "60201")
    local first = learning:sql "select * from xc_course_tables"
    announce("--key1", CHOICE, "--key2", "60201")
    announce("--key1", CHOICE, "--key2", "60201")
    assert.equal(first, learning:sql "select * from xc_course_tables")
    assert.equal("", dead())
  end)

  it("that was chosen already is left alone", function()
    learning:sql "update xc_choose_course set status = '701001'"
    announce("--key1", CHOICE, "--key2", "60201")
    assert.equal("0", learning:sql "select count(*) from xc_course_tables")
    assert.equal("", dead())
  end)

  it("takes the place of an earlier enrolment in the same course", function()
    learning:sql [[
      insert into xc_choose_course (id, course_id, course_name, user_id, company_id, order_type,
                                    course_price, status)
      values (7, 2, '旧', '王小明', 1232141425, '700002', 1, '701001');
      insert into xc_course_tables (choose_course_id, user_id, course_id, company_id, course_name,
                                    course_type, validtime_start, validtime_end)
      values (7, '王小明', 2, 1232141425, '旧', '700002', '2020-01-01', '2021-01-01');]]
    announce("--key1", CHOICE, "--key2", "60201")
    assert.equal("1624350000000000001|365.0", learning:sql [[
      select choose_course_id, julianday(validtime_end) - julianday(validtime_start)
        from xc_course_tables]])
  end)

  it("without a choice is a dead letter at once, with the reason", function()
    announce("--key1", "404", "--key2", "60201")
    assert.matches("^paynotify_queue|1|.*no choice 404", dead())
    assert.equal("0", learning:sql "select count(*) from xc_course_tables")
  end)

  it("without business key 1 is a dead letter, too", function()
    announce("--key2", "60201")
    assert.matches("^paynotify_queue|1|.*no choice nil", dead())
  end)

  it("of another order type is none of its business", function()
    announce("--key1", CHOICE, "--key2", "60202")
    assert.equal("701002", learning:sql "select status from xc_choose_course")
    assert.equal("", dead())
  end)

  it("that cannot be stored is tried three times, undone, and a dead letter", function()
    learning:sql [[
      create trigger full before insert on xc_course_tables
      begin select raise(abort, 'no room'); end]]
    announce("--key1", CHOICE, "--key2", "60201")
    assert.matches("^paynotify_queue|3|.*no room", dead())
    assert.equal("701002", learning:sql "select status from xc_choose_course")
    assert.equal("0", learning:sql "select count(*) from herald_retry")
  end)

  it("that could not be stored at first is enrolled by a retry", function()
    learning:sql [[
      create table tries (n integer);
      create trigger full before insert on xc_course_tables
        when unixepoch() < (select max(n) from tries)
      begin select raise(abort, 'no room yet'); end;
      insert into tries values (unixepoch() + 1);]]
    announce("--key1", CHOICE, "--key2", "60201")
    assert.equal("701001", learning:sql "select status from xc_choose_course")
    assert.equal("1", learning:sql "select count(*) from xc_course_tables")
    assert.equal("", dead())
  end)
end)
