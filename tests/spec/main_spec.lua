-- The command line as a whole, from its words to its exit code.

local helper = require "helper"
local core = require "herald.core"
local herald = helper.herald

describe("herald's words", function()
  before_each(function() helper.enter("return {}", { ["shop/herald.lua"] = "return {}" }) end)
  after_each(helper.leave)

  -- Where a router or its socket was asked for: below the folder of this spec.
  local function below()
    return core.getcwd():match("/router/?(.*)$")
  end

  it("without a command are bad usage", function()
    local code, _, err = herald()
    assert.equal(2, code)
    assert.matches("^herald: ", err)
    assert.matches("Usage: herald", err)
  end)

  it("with an unknown command or option are bad usage", function()
    assert.equal(2, (herald "statsu"))
    assert.equal(2, (herald("version", "--jsno")))
    assert.equal(2, (herald "dead"))
    assert.equal(2, (herald("emit", "--key1", "1")))
  end)

  it("that are wrong show the usage of the command they are for", function()
    local _, _, err = herald("dead", "drop", "--nosuch")
    assert.matches("^herald: unknown option '%-%-nosuch'.*\nUsage: herald dead drop %[", err)
    assert.matches("\nTry: herald dead drop %-%-help\n$", err)
    _, _, err = herald("outbox", "shew")
    assert.matches("^herald: unknown command 'shew'.-\nUsage: herald outbox %[", err)
    _, _, err = herald "statsu"
    assert.matches("\nTry: herald %-%-help\n$", err)
  end)

  it("end with 0 when it is done", function()
    local code, out = herald "version"
    assert.equal(0, code)
    assert.matches("^herald +" .. core.version:gsub("%p", "%%%0") .. "\n", out)
  end)

  it("end with 1 when it failed, and say why", function()
    local code, out, err = herald "status"
    assert.same({ 1, "", "herald: no store at herald.db: `herald run` and `herald emit` make it; give the router's "
      .. "folder with -C DIR, or the store with --store\n" }, { code, out, err })
  end)

  it("take -C, --store and --broker before or after the command", function()
    local where
    helper.stub("run", function() where = below() return true end)
    for _, words in ipairs {
      { "-C", "shop", "--store", "x.db", "--broker", "amqp://h/", "run" },
      { "run", "-C", "shop", "--store", "x.db", "--broker", "amqp://h/" },
      { "-C", "shop", "run", "--store", "x.db", "--broker", "amqp://h/" },
    } do
      where = nil
      assert.equal(0, (herald(table.unpack(words))))
      assert.equal("shop", where)
      local s = helper.call "run"
      assert.same({ "x.db", "amqp://h/" }, { s.store, s.broker })
    end
  end)

  it("take -C between two commands, too", function()
    helper.make_store "shop/herald.db"
    for _, words in ipairs {
      { "-C", "shop", "dead", "list" }, { "dead", "-C", "shop", "list" }, { "dead", "list", "-C", "shop" },
    } do
      assert.same({ 0, "no dead letters\n", "" }, { herald(table.unpack(words)) })
    end
  end)

  it("reach the commands that have a module of their own", function()
    local where
    helper.stub("ask", function() where = below() return { { error = "rules/a.lua:1: no" } } end)
    local code, out, err = herald("reload", "-C", "shop", "--dry-run", "--trial", "7", "--json")
    assert.same({ 1, "herald: nothing was reloaded: rules/a.lua:1: no\n" }, { code, err })
    assert.equal('{"outcome":"refused","error":"rules/a.lua:1: no"}\n', out)
    assert.equal("shop", where)
    assert.equal('{"ask":"reload","dry_run":true,"trial":7}', (select(2, helper.call "ask")))
    assert.equal(2, (herald("reload", "--dryrun")))
  end)

  it("hand every part of a message to emit", function()
    assert.equal(0, (herald("emit", "--type", "t", "--key1", "a", "--key2", "b", "--key3", "c",
      "--body", "{}", "--id", "m")))
    local _, message, count = helper.call "emit"
    assert.same({ type = "t", key1 = "a", key2 = "b", key3 = "c", body = "{}", id = "m" }, message)
    assert.equal(1, count)
    local row = core.outbox_get("herald.db", 1)
    assert.same({ "t", "a", "b", "c", "{}", "m" },
      { row.type, row.key1, row.key2, row.key3, row.body, row.message_id })
  end)
end)
