-- `herald test` runs this on the real engine, with a store in memory, the embedded broker and
-- a clock that stands still until a spec moves it. Each router starts empty, with the migrations.

local testing = require "herald.testing"

describe("whoever registers", function()
  it("gets ten points, and a mail is asked for", function()
    local router = testing.start()
    router:deliver { type = "user_registered", business_key1 = "7" }
    router:run()
    assert.rows(router, "select * from account", { { user_id = "7", points = 10 } })
    assert.published(router, { type = "mail_wanted", business_key1 = "7" })
  end)

  it("gets them once, however often it is told", function()
    local router = testing.start { sql = "insert into account values ('7', 12)" }
    router:deliver { type = "user_registered", business_key1 = "7", times = 2 }
    router:run()
    assert.rows(router, "select * from account", { { user_id = "7", points = 12 } })
  end)

  it("is a dead letter without a user", function()
    local router = testing.start()
    router:deliver { type = "user_registered" }
    router:run()
    assert.dead(router, { error = "no business_key1", attempts = 1 })
  end)
end)
