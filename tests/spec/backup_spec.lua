-- herald backup and restore: what they refuse, and what they say. That a copy is whole is tested in C
-- (store's test_backup) and on a router that works (integration's store_backup).

local backup = require "cli.backup"
local helper = require "helper"
local restore = require "cli.restore"

describe("herald backup", function()
  local shop

  after_each(helper.leave)

  before_each(function()
    shop = helper.enter 'return { store = "shop.db" }'
    helper.add("herald_outbox", { type = "t", created_at = os.time() * 1000 }, 3)
    helper.sql "select 1;"
  end)

  local function run(command, args)
    local results, out, err = helper.caught(command.run, args)
    return results[1], results[2], out, err
  end

  it("copies to a path that is the caller's, not the folder's", function()
    local code, problem, out = run(backup, { file = shop.base .. "/copy.db" })
    assert.same({}, { code, problem })
    assert.matches("^shop%.db is copied to " .. shop.base:gsub("%p", "%%%0") .. "/copy%.db: %d+ KiB, checked; "
      .. "3 pending, 0 retries, 0 dead letters\n$", out)
    _, _, out = run(backup, { file = "here.db", json = true })
    assert.matches('^{"file":"/.*/here%.db","bytes":%d+,"pending":3,"retries":0,"dead":0}\n$', out)
  end)

  it("writes over nothing, and restores over nothing", function()
    local file = shop.base .. "/copy.db"
    run(backup, { file = file })
    local code, problem = run(backup, { file = file })
    assert.equal(2, code)
    assert.matches("copy%.db is there already", problem)
    code, problem = run(restore, { file = file })
    assert.equal(2, code)
    assert.matches("^shop%.db is there still: stop the router", problem)
  end)

  it("puts a copy back where nothing of the store is left", function()
    local file = shop.base .. "/copy.db"
    run(backup, { file = file })
    shop:shell "rm shop.db*"
    shop:write("shop.db-wal", "of the former store")
    local code, problem = run(restore, { file = file })
    assert.equal(2, code)
    assert.matches("^shop%.db%-wal is there still", problem)
    shop:shell "rm shop.db-wal"
    local out
    code, problem, out = run(restore, { file = file })
    assert.same({}, { code, problem })
    assert.matches("copy%.db is put back as shop%.db: %d+ KiB, checked; 3 pending", out)
    assert.matches("Start the router before any program writes", out)
    assert.equal("3\n", helper.sql "select count(*) from herald_outbox;")
  end)

  it("copies a store of a newer herald, says so, and puts none back", function()
    local file = shop.base .. "/copy.db"
    helper.sql "update herald_meta set value = 4711 where key = 'schema_version';"
    local code, problem, out = run(backup, { file = file })
    assert.same({}, { code, problem })
    assert.matches("of another version: .*has schema version 4711.*use the newer herald", out)
    code, problem = run(restore, { file = file, store = "other.db" })
    assert.equal(2, code)
    assert.matches("copy%.db has schema version 4711.*use the newer herald", problem)
    assert.is_nil(require "herald.core".kind "other.db")
  end)

  it("says what is no store", function()
    local code, problem = run(restore, { file = shop.base .. "/none.db", store = "other.db" })
    assert.equal(1, code)
    assert.matches("none%.db", problem)
    shop:write("text.db", "no database")
    code, problem = run(restore, { file = "text.db", store = "other.db" })
    assert.equal(1, code)
    assert.matches("text%.db", problem)
    assert.is_nil((run(backup, { file = "copy.db" })))
  end)
end)
