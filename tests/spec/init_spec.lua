-- `herald init`: the folder it makes is a router that works.

local made = require "made"
local init = require "cli.init"

describe("herald init", function()
  local base

  before_each(function() base = made.folder {} end)
  after_each(function() base:remove() end)

  -- All files below the folder, sorted.
  local function files(folder)
    local _, out = base:shell(("cd '%s' && find . -type f | LC_ALL=C sort"):format(folder))
    return out
  end

  it("makes the folder and those above it", function()
    local code, out, err = base:herald("init", "a/b/shop")
    assert.same({ 0, "" }, { code, err })
    local wanted = {}
    for i, file in ipairs(init.files) do wanted[i] = "./" .. file[1] .. "\n" end
    table.sort(wanted)
    assert.equal(table.concat(wanted), files "a/b/shop")
    for _, command in ipairs { "check", "test", "run" } do
      assert.matches("herald %-C a/b/shop " .. command, out)
    end
  end)

  it("makes what check has nothing to say about", function()
    base:herald("init", "shop")
    local code, out = base:herald("-C", "shop", "check")
    assert.equal("ok: 2 files, 1 migrations, 2 routes, 1 subscriptions, 1 handlers, 2 statements\n", out)
    assert.equal(0, code)
  end)

  it("makes a router that runs at once", function()
    base:herald("init", "shop")
    for _ = 1, 2 do
      assert.equal(0, (base:herald("-C", "shop", "emit", "--type", "user_registered", "--key1", "7")))
    end
    assert.equal(0, (base:herald("-C", "shop", "run", "--until-idle")))
    local _, out = base:shell "sqlite3 shop/herald.db 'select * from account; select count(*) from herald_dead'"
    assert.equal("7|10\n0\n", out)
  end)

  it("makes what herald test passes", function()
    base:herald("init", "shop")
    local code, out, err = base:herald("-C", "shop", "test")
    assert.equal(0, code, out .. err)
  end)

  it("leaves out of git what a run leaves behind", function()
    base:herald("init", "shop")
    base:herald("-C", "shop", "run", "--until-idle")
    local code, out = base:shell [[
      cd shop && touch herald.sock && git init -q . && git status --porcelain --untracked-files=all | cut -c4- | LC_ALL=C sort]]
    assert.equal(0, code)
    local wanted = {}
    for i, file in ipairs(init.files) do wanted[i] = file[1] .. "\n" end
    table.sort(wanted)
    assert.equal(table.concat(wanted), out)
  end)

  it("makes settings for the language server that are JSON", function()
    base:herald("init", "shop")
    local _, out = base:shell [[sqlite3 :memory: "select json_valid(readfile('shop/.luarc.json'))"]]
    assert.equal("1\n", out)
    assert.equal(made.read "scripts/annotations/herald.lua", made.read(base.path .. "/shop/.herald/herald.lua"))
  end)

  it("changes nothing where one of the files is", function()
    base:write("shop/rules/welcome.lua", "mine")
    base:write("shop/herald.lua", "mine, too")
    local code, out, err = base:herald("init", "shop")
    assert.same({ 1, "" }, { code, out })
    assert.equal("herald: shop has herald.lua, rules/welcome.lua already: nothing was written. Name a new folder\n", err)
    assert.equal("./herald.lua\n./rules/welcome.lua\n", files "shop")
    assert.equal("mine", made.read(base.path .. "/shop/rules/welcome.lua"))
  end)

  it("goes into a folder that has other things", function()
    base:write("shop/notes.txt", "mine")
    assert.equal(0, (base:herald("init", "shop/")))
    assert.equal("mine", made.read(base.path .. "/shop/notes.txt"))
  end)

  it("takes names with spaces and quotes, and shows them as a shell takes them", function()
    local code, out = base:herald("init", "my mother's 店")
    assert.equal(0, code)
    local line = out:match("\n  ([^\n]- check) ")
    assert.equal(0, (base:shell("env -u HERALD_BROKER " .. line)))
  end)

  it("says what is in the way", function()
    base:write("file", "x")
    local code, _, err = base:herald("init", "file")
    assert.same({ 2, "herald: file is there and no folder\n" }, { code, err })
    code, _, err = base:herald("init", "file/below")
    assert.equal(1, code)
    assert.matches("^herald: file: ", err)
    assert.equal(2, (base:herald "init"))
    assert.equal(2, (base:herald("init", "")))
  end)
end)
