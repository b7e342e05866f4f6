-- The command line as a whole, from its words to its exit code.

local helper = require "helper"
local main = assert(package.searchpath("cli.main", package.path))

describe("herald's words", function()
  local undo

  before_each(function()
    helper.reset()
    undo = helper.with_herald_lua "return {}"
  end)

  after_each(function() undo() end)

  -- Returns exit code, stdout and stderr.
  local function herald(...)
    local saved = _G.arg
    _G.arg = { [0] = "herald", ... }
    local results, out, err = helper.caught(dofile, main)
    _G.arg = saved
    return results[1], out, err
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
    assert.matches("herald +1%.2%.3", out)
  end)

  it("end with 1 when it failed, and say why", function()
    helper.answers.counts = { nil, "failed", "no store at herald.db" }
    local code, out, err = herald "status"
    assert.same({ 1, "", "herald: no store at herald.db\n" }, { code, out, err })
  end)

  it("take -C, --store and --broker before or after the command", function()
    helper.answers.run = { true }
    for _, words in ipairs {
      { "-C", "shop", "--store", "x.db", "--broker", "amqp://h/", "run" },
      { "run", "-C", "shop", "--store", "x.db", "--broker", "amqp://h/" },
      { "-C", "shop", "run", "--store", "x.db", "--broker", "amqp://h/" },
    } do
      helper.calls = {}
      assert.equal(0, (herald(table.unpack(words))))
      assert.equal("shop", helper.call "chdir")
      local s = helper.call "run"
      assert.same({ "x.db", "amqp://h/" }, { s.store, s.broker })
    end
  end)

  it("take -C between two commands, too", function()
    helper.answers.dead_list = { {} }
    for _, words in ipairs {
      { "-C", "shop", "dead", "list" }, { "dead", "-C", "shop", "list" }, { "dead", "list", "-C", "shop" },
    } do
      helper.calls = {}
      assert.equal(0, (herald(table.unpack(words))))
      assert.equal("shop", helper.call "chdir")
    end
  end)

  it("reach the commands that have a module of their own", function()
    helper.answers.ask = { { { error = "rules/a.lua:1: no" } } }
    local code, out, err = herald("reload", "-C", "shop", "--dry-run", "--trial", "7", "--json")
    assert.same({ 1, "herald: nothing was reloaded: rules/a.lua:1: no\n" }, { code, err })
    assert.equal('{"outcome":"refused","error":"rules/a.lua:1: no"}\n', out)
    assert.equal("shop", helper.call "chdir")
    assert.equal('{"ask":"reload","dry_run":true,"trial":7}', (select(2, helper.call "ask")))
    assert.equal(2, (herald("reload", "--dryrun")))
  end)

  it("hand every part of a message to emit", function()
    helper.answers.emit = { { 1 } }
    assert.equal(0, (herald("emit", "--type", "t", "--key1", "a", "--key2", "b", "--key3", "c",
      "--body", "{}", "--id", "m")))
    local _, message, count = helper.call "emit"
    assert.same({ type = "t", key1 = "a", key2 = "b", key3 = "c", body = "{}", id = "m" }, message)
    assert.equal(1, count)
  end)
end)
