-- Both services in one router: from the payment to the course.
-- Run: herald -C examples/course-enrolment test (with the specs of both services)

local testing = require "herald.testing"

it("an order that is paid enrols its course", function()
  local router = testing.start { sql_file = "orders/spec/order.sql" }
  router:sql_file "learning/spec/choice.sql"
  router:sql_file("orders/paid.sql", { pay_no = 1624350000000000003 })
  router:run()
  assert.published(router, { type = "payresult_notify", business_key1 = "1624350000000000001" })
  assert.rows(router, "select status from xc_choose_course", { { status = "701001" } })
  assert.rows(router, "select choose_course_id from xc_course_tables", { { 1624350000000000001 } })
  assert.same({}, router:outbox())
  assert.same({}, router:dead())
end)
