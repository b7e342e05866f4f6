-- What the learning service makes of a payment. Run: herald -C examples/course-enrolment/learning test

local testing = require "herald.testing"

local CHOICE <const> = 1624350000000000001 -- spec/choice.sql
local PAID <const> = { type = "payresult_notify", order_type = "60201", business_key1 = CHOICE }

local STATUS <const> = "select status from xc_choose_course where id = ?"
local COURSES <const> = "select choose_course_id, validtime_start, validtime_end from xc_course_tables"

local ENROLLED <const> = { { CHOICE, "2026-01-01 00:00:00", "2027-01-01 00:00:00" } }

describe("a paid course", function()
  local learning

  before_each(function()
    learning = testing.start { sql_file = "spec/choice.sql", now = "2026-01-01T00:00:00Z" }
  end)

  it("is enrolled", function()
    learning:deliver(PAID)
    learning:run()
    assert.rows(learning, STATUS, CHOICE, { { status = "701001" } })
    assert.rows(learning, [[
      select choose_course_id, user_id, course_id, company_id, course_name, course_type
        from xc_course_tables]],
      { { CHOICE, "王小明", 2, 1232141425, "《Lua 程序设计》", "700002" } })
    assert.logged(learning, { text = "enrolled", level = "info", choice = CHOICE, user = "王小明" })
    assert.same({}, learning:dead())
  end)

  it("is valid from the day on which it was paid", function()
    learning:advance("36h"):deliver(PAID)
    learning:run()
    assert.rows(learning, COURSES, { { CHOICE, "2026-01-02 12:00:00", "2027-01-02 12:00:00" } })
  end)

  it("is enrolled by a message as the broker has it", function()
    local id = learning:deliver_file "spec/messages/paid.json"
    learning:run()
    assert.equal("5f2c9a3b71e4:16", id)
    assert.rows(learning, COURSES, ENROLLED)
  end)

  -- MessageBuilder.withBody(json.getBytes(UTF_8)), and convertAndSend(exchange, "", json):
  -- neither id nor type but in the body, and a content type that does not say JSON.
  for _, form in ipairs { "bytes", "text" } do
    it("is enrolled by what the payment service sends as " .. form, function()
      local message = ("spec/messages/paid-%s.json"):format(form)
      assert.is_nil(learning:deliver_file(message))
      learning:run()
      assert.rows(learning, COURSES, ENROLLED)
      assert.same({}, learning:dead())
      learning:deliver_file(message)
      learning:run()
      assert.equal(1, learning:counters().duplicates)
      assert.rows(learning, COURSES, ENROLLED)
    end)
  end

  it("is enrolled by what was a dead letter somewhere", function()
    learning:deliver_file "spec/messages/letter.json"
    learning:run()
    assert.rows(learning, COURSES, ENROLLED)
  end)

  it("is enrolled once, however often the payment is announced", function()
    learning:deliver(PAID)
    learning:advance "1d":deliver(PAID)
    learning:run()
    assert.rows(learning, COURSES, ENROLLED)
  end)

  it("that was chosen already is left alone", function()
    learning:sql "update xc_choose_course set status = '701001'"
    learning:deliver(PAID)
    learning:run()
    assert.rows(learning, COURSES, {})
  end)

  it("takes the place of an earlier enrolment in the same course", function()
    learning:sql([[
      insert into xc_choose_course (id, course_id, course_name, user_id, company_id, order_type,
                                    course_price, status)
      values (7, 2, '旧', '王小明', 1232141425, '700002', 1, '701001');
      insert into xc_course_tables (choose_course_id, user_id, course_id, company_id, course_name,
                                    course_type, validtime_start, validtime_end)
      values (7, '王小明', 2, 1232141425, '旧', '700002', :begin, :end)]],
      { begin = "2020-01-01", ["end"] = "2021-01-01" })
    learning:deliver(PAID)
    learning:run()
    assert.rows(learning, COURSES, ENROLLED)
  end)

  it("of another order type is none of its business", function()
    learning:deliver { type = "payresult_notify", order_type = "60202", business_key1 = CHOICE }
    learning:run()
    assert.equal("701002", learning:value(STATUS, CHOICE))
    assert.same({}, learning:dead())
  end)
end)

describe("a payment that cannot be used", function()
  local learning

  before_each(function() learning = testing.start { sql_file = "spec/choice.sql" } end)

  it("is a dead letter at once without a choice, with the reason", function()
    learning:deliver { type = "payresult_notify", order_type = "60201", business_key1 = 404 }
    learning:run()
    assert.dead(learning, { queue = "paynotify_queue", attempts = 1, error = "no choice 404",
      body = { businessKey1 = "404", businessKey2 = "60201", id = 1, messageType = "payresult_notify" } })
    assert.rows(learning, COURSES, {})
  end)

  it("is a dead letter without business key 1, too", function()
    learning:deliver { type = "payresult_notify", order_type = "60201" }
    learning:run()
    assert.dead(learning, { attempts = 1, error = "no choice nil" })
  end)

  it("is tried three times, a second apart, is undone, and a dead letter", function()
    learning:sql [[
      create trigger full before insert on xc_course_tables
      begin select raise(abort, 'no room'); end]]
    learning:deliver(PAID)
    learning:run()
    assert.retry(learning, { business_key1 = CHOICE, attempts = 1, error = "no room" })
    learning:advance "1100ms" -- the delay is a second, and up to a tenth of chance
    assert.retry(learning, { attempts = 2 })
    learning:advance "1100ms"
    assert.dead(learning, { attempts = 3, error = "no room" })
    assert.same({}, learning:retries())
    assert.equal("701002", learning:value(STATUS, CHOICE))
  end)

  it("is enrolled by a retry once there is room", function()
    learning:sql [[
      create trigger full before insert on xc_course_tables when datetime('now') < '2026-01-01 00:00:01'
      begin select raise(abort, 'no room yet'); end]]
    learning:deliver(PAID)
    learning:advance "1m"
    assert.rows(learning, COURSES, { { CHOICE, "2026-01-01 00:00:01", "2027-01-01 00:00:01" } })
    assert.same({}, learning:dead())
  end)
end)

describe("whatever goes wrong, the course is enrolled once:", function()
  local learning

  -- Counts what is done, not what is there afterwards.
  before_each(function()
    learning = testing.start { sql_file = "spec/choice.sql" }
    learning:sql [[
      create table done (n integer);
      create trigger count after insert on xc_course_tables begin insert into done values (1); end]]
    learning:deliver(PAID)
  end)

  after_each(function()
    assert.equal(1, learning:value "select count(*) from done")
    assert.rows(learning, COURSES, ENROLLED)
    assert.same({}, learning:dead())
  end)

  it("a crash before the commit", function() learning:crash "before commit":run() end)

  it("a crash between the commit and the ack", function()
    learning:crash "after commit":run()
    assert.equal(1, learning:counters().duplicates)
  end)

  it("acks that are lost", function()
    learning:duplicate_next():run()
    assert.equal(1, learning:counters().duplicates)
  end)

  it("the same message twice", function()
    learning:deliver { type = PAID.type, order_type = "60201", business_key1 = CHOICE, id = "test:1" }
    learning:run()
    assert.equal(1, learning:counters().duplicates)
  end)
end)
