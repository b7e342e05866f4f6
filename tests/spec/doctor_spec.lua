-- herald doctor: what it finds in stores and folders that are not as they should be, what it says to
-- do, and that it leaves all as it is. With a broker and a router: integration's command_doctor.

local helper = require "helper"
local core = require "herald.core"
local doctor = require "cli.doctor"
local made = require "made"
local versions = require "cli.doctor.versions"

describe("herald doctor", function()
  local shop

  after_each(helper.leave)

  before_each(function()
    shop = helper.enter 'return { store = "shop.db" }'
    helper.stub("ask", nil, "no router listens on shop.sock")
    helper.stub("router_pid", 0)
  end)

  -- Its exit code, and what it says.
  local function run(args)
    local results, out, err = helper.caught(doctor.run, args or {})
    assert.equal("", err)
    return results[1], out, results[2]
  end

  -- A store with nothing in it, its owner's alone.
  local function store()
    helper.sql "select 1;"
    shop:shell "chmod 600 shop.db*"
  end

  it("finds nothing in a new store, and leaves its bytes alone", function()
    store()
    local before = made.read "shop.db"
    local code, out = run()
    assert.is_nil(code)
    assert.matches("ok +integrity +shop%.db: quick_check of %d+ KiB says ok", out)
    assert.matches("ok +store +shop%.db: schema version " .. core.schema_newest, out)
    assert.matches("ok +clock", out)
    assert.matches("0 errors, 0 warnings\n$", out)
    assert.equal(before, made.read "shop.db")
    assert.matches("integrity_check of", (select(2, run { full = true })))
  end)

  it("is JSON for programs", function()
    store()
    local _, out = run { json = true }
    assert.matches('^{"errors":0,"warnings":0,"findings":%[{"severity":"note","area":"', out)
    assert.matches('{"severity":"ok","area":"integrity","where":"shop.db","what":"quick_check of '
      .. '%d+ KiB says ok","do":null}', out)
  end)

  -- What is done to the store, and a line that says so, with what to do about it.
  local stores = {
    { "missing", function() end, "error +store +shop%.db: No such file or directory\n +%-> `herald run` and "
      .. "`herald emit` make it" },
    { "no database", function() shop:write("shop.db", ("x"):rep(9000)) end,
      "error +store +shop%.db: .*file is not a database.*\n +%-> end all that use it" },
    { "another's", function() shop:shell "sqlite3 shop.db 'create table t(a)'" end, "error +store +shop%.db: is not a "
      .. "store of herald's\n +%-> name the router's store" },
    { "newer", function() helper.sql "update herald_meta set value = 99 where key = 'schema_version';" end,
      "error +store +shop%.db: has schema version 99; this is herald [%d.]+, which knows versions up to %d+\n +%-> use "
      .. "the newer herald" },
    { "older", function() helper.sql "update herald_meta set value = 2 where key = 'schema_version';" end,
      "warning +store +shop%.db: has schema version 2.*\n +%-> make a backup, then `herald run`" },
    { "damaged", function()
      helper.add("herald_outbox", { type = "t", body = ("x"):rep(3000) }, 30)
      helper.sql "pragma wal_checkpoint(truncate);"
      local bytes = made.read "shop.db"
      shop:write("shop.db", bytes:sub(1, #bytes // 4096 // 2 * 4096) .. ("\xff"):rep(4096)
        .. bytes:sub((#bytes // 4096 // 2 + 1) * 4096 + 1))
    end, "error +integrity +shop%.db: .*\n +%-> end all that use it" },
    { "kept by another", function()
      helper.sql "select 1;"
      shop:shell([[mkfifo ../sql.in ../sql.out; sqlite3 shop.db <../sql.in >../sql.out 2>/dev/null &
        exec 3>../sql.in; echo 'pragma locking_mode = exclusive; begin exclusive; select 1;' >&3; read x <../sql.out
        sleep 6 >&3 &]])
    end, "error +store +shop%.db: .*database is locked\n +%-> another process keeps everybody else out" },
    { "of a row that lacks another", function()
      helper.sql "create table a(id integer primary key); create table b(a references a(id)); insert into b values (7);"
    end, "warning +foreign keys +b, row 1: refers to a row of a that is not there" },
    { "of the future", function()
      helper.add("herald_outbox", { type = "t", created_at = (os.time() + 7200) * 1000 })
      helper.sql "select 1;"
    end, "error +clock +shop%.db: this machine's clock is .* behind the newest outbox" },
    { "for all to read", function() store() shop:shell "chmod 644 shop.db" end,
      "warning +rights +shop%.db: .*mode 644.*\n +%-> chmod o%-rwx shop%.db" },
  }
  for _, case in ipairs(stores) do
    it("tells of a store that is " .. case[1], function()
      case[2]()
      local code, out = run()
      assert.matches(case[3], out)
      assert.equal(case[3]:match "^error" and 1 or nil, code)
    end)
  end

  it("goes on where the settings are broken", function()
    store()
    shop:write("herald.lua", "return { stor = 1 }")
    local code, out = run { store = "shop.db" }
    assert.equal(1, code)
    assert.matches("error +settings +herald%.lua: .*did you mean 'store'", out)
  end)

  it("needs a folder", function()
    local code, _, problem = run { directory = "nowhere" }
    assert.equal(2, code)
    assert.matches("^no folder nowhere", problem)
  end)

  it("tells who can read a secret", function()
    store()
    shop:write("herald.lua", 'return { store = "shop.db", broker = "amqp://shop@rabbit1", password_file = "password" }')
    shop:write("password", "x")
    shop:shell "chmod 640 password"
    local _, out = run { offline = true }
    assert.matches("warning +rights +password: the broker's password is in it, and others can read it %(mode 640%)",
      out)
    assert.matches("warning +settings +broker: the password and all messages go to another machine", out)
    shop:shell "chmod 600 password"
    _, out = run { offline = true }
    assert.not_matches("rights +password", out)
    shop:write("herald.lua", 'return { store = "shop.db", broker = "amqp://shop:secret@localhost" }')
    shop:shell "chmod 644 herald.lua"
    _, out = run { offline = true }
    assert.matches("warning +rights +herald%.lua: a password is in the URL", out)
    assert.not_matches("secret", out)
  end)

  it("tells a broker that is not to be had, and what it has against the rules", function()
    store()
    shop:write("herald.lua", 'return { store = "shop.db", broker = "amqp://shop:secret@localhost" }')
    helper.stub("inspect_rules", { live = {}, live_error = "connection refused", server = "" })
    local code, out = run()
    assert.equal(1, code)
    assert.matches("error +broker +amqp://localhost: as user shop: connection refused\n +%->", out)
    helper.stub("inspect_rules", { server = "RabbitMQ 3.10.8",
      live = { { severity = "error", origin = "rules/a.lua:3", text = "no right to configure" } } })
    code, out = run()
    assert.equal(1, code)
    assert.matches("ok +broker +amqp://localhost: RabbitMQ 3%.10%.8, reached as user shop", out)
    assert.matches("error +broker +rules/a%.lua:3: no right to configure\n +%-> .*set_permissions", out)
    assert.matches("note +version +amqp://localhost: RabbitMQ 3%.10%.8: classic mirrored", out)
    assert.not_matches("secret", out)
    assert.equal("herald.lua/none", helper.call("inspect_rules").store)
  end)

  it("tells a socket that is left, one of no router, and a router that does not answer", function()
    store()
    shop:shell "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"shop.sock\")'"
    local _, out = run()
    assert.matches("note +socket +shop%.sock: is left of a router that is gone", out)
    helper.stub("ask", nil, "the router's answer: bad JSON")
    _, out = run()
    assert.matches("warning +socket +shop%.sock: what is there is no router of this store: the router's answer", out)
    helper.stub("ask", nil, "it is in the middle of a long step")
    helper.stub("router_pid", 17)
    local code
    code, out = run()
    assert.equal(1, code)
    assert.matches("error +router +shop%.sock: process 17 has the store, and does not answer: it is in", out)
    helper.stub("ask", { { store = "shop.db" } })
    _, out = run()
    assert.matches("ok +router +shop%.sock: process 17 answers", out)
    shop:shell "rm shop.sock; echo x >shop.sock"
    _, out = run()
    assert.matches("error +socket +shop%.sock: something is there that is no socket", out)
  end)

  it("knows versions apart", function()
    local found = { add = function(self, severity) self[#self + 1] = severity end }
    versions.broker("RabbitMQ 4.3.6", "x", found)
    versions.broker("Another 1.0", "x", found)
    assert.equal(1, #found)
  end)
end)
