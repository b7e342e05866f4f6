-- The manual and the completions have all that the program and the papers have.

require "helper"
package.path = "packaging/?.lua;" .. package.path

local pages = require "manual.pages"
local roff = require "manual.roff"
local settings = require "cli.settings"
local words = require "cli.words"

local CONTEXT <const> = { folder = "docs", version = "1.2.3", date = "2026-11-30" }

-- Calls fn with each command, and those below it.
local function each_command(command, fn)
  fn(command)
  for _, below in ipairs(command._commands) do each_command(below, fn) end
end

local function has(text, wanted)
  if not text:find(wanted, 1, true) then error("lacks " .. wanted, 2) end
end

describe("the manual", function()
  local parser = words.parser()
  parser._name = "herald"

  it("has every command and every option", function()
    local page = pages.herald(parser, CONTEXT)
    each_command(parser, function(command)
      local name = roff.verbatim(command:_get_fullname())
      local at = page:find("\n.SS " .. name .. "\n", 1, true) or command == parser and 1
      assert(at, "no section of " .. name)
      for _, option in ipairs(command._options) do
        local said = option._hidden or page:find(roff.verbatim(option._aliases[1]), at, true)
        assert(said, name .. " lacks " .. option._aliases[1])
      end
    end)
    has(page, '.TH HERALD 1 2026-11-30 "herald 1.2.3" "herald"')
  end)

  it("says what all commands take once, in help, too", function()
    local function count(text)
      return select(2, text:gsub("%-%-directory", ""))
    end
    assert.equal(1, count(parser:get_help()))
    each_command(parser, function(command)
      if command ~= parser then
        assert.equal(0, count(command:get_help()))
        if command._name ~= "init" then has(command:get_help(), "--store FILE and --broker URL stand here, too") end
      end
    end)
  end)

  it("has every setting", function()
    local page = pages.settings(CONTEXT)
    for _, entry in ipairs(settings.schema) do has(page, ".TP\n\\fB" .. entry.name .. "\\fR\n") end
  end)

  it("has every function of the rules", function()
    local page = pages.rules(CONTEXT)
    for _, name in ipairs { "herald.route", "herald.subscribe", "herald.on", "tx:emit", "herald.retry" } do
      has(page, name)
    end
  end)

  it("lets the shells complete every option", function()
    local shells = { bash = parser:get_bash_complete(), zsh = parser:get_zsh_complete(),
                     fish = parser:get_fish_complete() }
    each_command(parser, function(command)
      for _, option in ipairs(command._options) do
        for shell, text in pairs(shells) do
          has(text, shell == "fish" and "-l " .. option._aliases[#option._aliases]:sub(3) or option._aliases[1])
        end
      end
    end)
  end)
end)

describe("roff", function()
  local function made(text)
    local lines = {}
    for line in (text .. "\n"):gmatch "(.-)\n" do lines[#lines + 1] = line end
    return roff.blocks(lines)
  end

  it("is headings, and paragraphs whose marks are fonts", function()
    assert.equal(".SH A THING\n.PP\nSay \\fBx\\-y\\fR, \\fIor\\fR \\fBno\\fR: a link.",
      made "# Paper\n\n## A `thing`\n\nSay `x-y`, *or* **no**:\na [link](x.md#y).")
  end)

  it("takes bytes of code as they are", function()
    assert.equal(".PP\n.RS 4\n.EX\n\\&.x = \\(aqa\\eb\\(aq \\-\\- \\(ti\n\n  y\n.EE\n.RE",
      made "```\n.x = 'a\\b' -- ~\n\n  y\n```")
  end)

  it("guards a line that looks like a request", function()
    assert.equal(".PP\n\\&.a is\\(aq", made ".a is'")
    assert.equal(".PP\n\\(aqa", made "'a")
  end)

  it("makes a tagged paragraph of a row, and tells columns beside the main one", function()
    assert.equal(".TP\n\\fBa\\fR\n\\fIsize:\\fR 1\n.br\nwhat it is for", made
      "| name | size | what |\n| --- | --- | --- |\n| `a` | 1 | what it is for |")
    assert.equal(".TP\n\\fBa|b\\fR\nboth", made "| n | what |\n| --- | --- |\n| `a\\|b` | both |")
  end)

  it("keeps what is below an item of a list with it", function()
    assert.equal(".IP 1. 4\nOne line.\n.RS\n.PP\n.RS 4\n.EX\nx\n.EE\n.RE\n.RE\n.IP \\(bu 2\nother",
      made "1. One\n   line.\n\n   ```\n   x\n   ```\n- other")
  end)
end)
