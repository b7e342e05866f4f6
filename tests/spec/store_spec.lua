-- herald store stats: what the file is made of, also where SQLite cannot tell the bytes.

local helper = require "helper"
local core = require "herald.core"

describe("herald store stats", function()
  local read = core.survey_read

  before_each(function() helper.enter 'return { store = "shop.db" }' end)
  after_each(function()
    core.survey_read = read
    helper.leave()
  end)

  -- One row in each state of the outbox, and some letters.
  local function fill()
    local body = ("x"):rep(2000)
    helper.add("herald_outbox", { type = "t", body = body }, 5)
    helper.add("herald_outbox", { type = "t", due_at = (os.time() + 3600) * 1000 }, 2)
    helper.add("herald_outbox", { type = "t", attempts = 3, due_at = 1 })
    helper.add("herald_outbox", { type = "t", first_sent_at = 1, due_at = 1 })
    helper.add("herald_dead", { side = "inbox", queue = "q", attempts = 1, error = "no", generation = 1, at = 1,
      error_group = 1, body = body }, 10)
    helper.sql "create table account(id integer primary key, name text unique); insert into account values (1, 'a');"
  end

  it("counts rows and bytes by kind", function()
    fill()
    local code, out, err = helper.herald("store", "stats")
    assert.same({ 0, "" }, { code, err })
    for _, line in ipairs { "outbox +9 +%d+ KiB", "  ready +5", "  refused +1", "  scheduled +2", "  unheard +1",
      "dead +1%d +%d+ KiB", "business +1 +4 KiB", "indexes +%d+ KiB", "free pages +0 KiB", "file +%d+ KiB",
      "WAL +%d+ KiB" } do
      assert.matches("\n" .. line, out)
    end
    assert.not_matches("~", out)
  end)

  it("is JSON, whose bytes are those of the file", function()
    fill()
    local _, out = helper.herald("store", "stats", "--json")
    local sum = 0
    for bytes in out:match('"kinds":(.-),"outbox_states"'):gmatch '"bytes":(%d+)' do sum = sum + bytes end
    sum = sum + out:match '"index_bytes":(%d+)' + out:match '"free_bytes":(%d+)'
    local file = math.tointeger(tonumber((out:match '"file_bytes":(%d+)')))
    assert.equal(file, sum)
    assert.matches('"exact":true', out)
    assert.matches('"outbox_states":{"ready":5,"refused":1,"scheduled":2,"unheard":1}', out)
  end)

  it("estimates where SQLite has no dbstat, and says so", function()
    fill()
    core.survey_read = function(survey, sql, tick)
      if sql:find "dbstat" then return nil, "failed", "no such table: dbstat" end
      return read(survey, sql, tick)
    end
    local code, out = helper.herald("store", "stats")
    assert.equal(0, code)
    assert.matches("\noutbox +9 +~1?%d KiB", out)
    assert.matches("\nindexes +%?", out)
    assert.matches("SQLite here has no dbstat: bytes are estimated", out)
    out = select(2, helper.herald("store", "stats", "--json"))
    assert.matches('"exact":false', out)
    assert.matches('"index_bytes":null', out)
  end)

  -- What it says on stderr of a file.
  local function refused(file)
    local code, out, err = helper.herald("store", "stats", "--store", file)
    assert.same({ 1, "" }, { code, out })
    return err
  end

  it("says what is no store", function()
    assert.matches("none%.db: No such file or directory", refused "none.db")
    os.execute "sqlite3 other.db 'create table t(a)'"
    assert.matches("other%.db is not a store of herald's", refused "other.db")
  end)
end)
