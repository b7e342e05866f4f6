-- pages: the manual, from what the program and the papers say already. Nothing is written twice,
-- so nothing can differ.

local roff = require "manual.roff"

local pages = {}

local function lines_of(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return lines
end

-- The lines of a paper that stand under a heading, without the headings below it that `without`
-- names.
local function section(paper, heading, without)
  local level, found, left_out, out = #heading:match "^#+", false, false, {}
  local fenced = false
  for _, line in ipairs(paper) do
    fenced = fenced ~= (line:match "^```" ~= nil)
    local marks = not fenced and line:match "^(#+) "
    if marks and #marks <= level then found, left_out = line == heading, false
    elseif marks and found then left_out = (without or {})[line:match "^#+ (.*)$"] ~= nil
    end
    if found and not left_out and line ~= heading then out[#out + 1] = line end
  end
  if #out == 0 then error("no section " .. heading) end
  return roff.blocks(out)
end

local function head(name, number, about, context)
  return (".TH %s %d %s \"herald %s\" \"herald\"\n.SH NAME\n%s \\- %s"):format(roff.verbatim(name:upper()), number,
    context.date, context.version, roff.verbatim(name), about)
end

local function see_also(...)
  local list = { ... }
  for i, name in ipairs(list) do list[i] = ".BR " .. name end
  return ".SH SEE ALSO\n" .. table.concat(list, " ,\n") .. "\n.PP\nThe papers that come with the program: "
    .. "\\fBdocs/\\fR and \\fBexamples/\\fR,\nbelow its folder of documentation."
end

-- Options and arguments of a command that are its own; `common`: those that all have.
local function option_paragraphs(command, common)
  local out = {}
  for _, argument in ipairs(command._arguments) do
    out[#out + 1] = roff.tagged("*" .. argument:_get_argname(1):gsub("[<>]", "") .. "*", argument:_get_description())
  end
  for _, option in ipairs(command._options) do
    local names = option._aliases
    if not common[names[#names]] then
      local values = {}
      for i, value in ipairs(option:_get_argument_list()) do values[i] = " *" .. value:gsub("[<>*]", "") .. "*" end
      out[#out + 1] = roff.tagged("`" .. table.concat(names, "`, `") .. "`" .. table.concat(values),
        option:_get_description())
    end
  end
  return table.concat(out, "\n")
end

local function usage(command)
  local lines = {}
  for line in command:get_usage():gsub("^Usage: ", ""):gmatch "[^\n]+" do lines[#lines + 1] = line end
  return (roff.code(lines):gsub("^%.PP\n", ""))
end

-- A command and those below it, each under its own name.
local function command_paragraphs(command, common, out)
  out[#out + 1] = ".SS " .. roff.verbatim(command:_get_fullname())
  out[#out + 1] = usage(command)
  out[#out + 1] = ".PP\n" .. roff.text(command._description or "")
  local own = option_paragraphs(command, common)
  if own ~= "" then out[#out + 1] = own end
  for _, below in ipairs(command._commands) do command_paragraphs(below, common, out) end
end

-- `parser`: of the command line. `context`: folder (of the papers), version, date.
function pages.herald(parser, context)
  local common, out = {}, {}
  local paper = lines_of(context.folder .. "/operations.md")
  for _, option in ipairs(parser._options) do common[option._aliases[#option._aliases]] = true end
  out[#out + 1] = head("herald", 1, "moves business events between services and loses none", context)
  out[#out + 1] = ".SH SYNOPSIS\n" .. usage(parser)
  out[#out + 1] = ".SH DESCRIPTION\n" .. roff.text(parser._description)
  out[#out + 1] = section(paper, "## Run", { systemd = true, Container = true })
  out[#out + 1] = ".SH OPTIONS\nThey stand before the command or behind it.\n" .. option_paragraphs(parser, {})
  out[#out + 1] = ".SH COMMANDS"
  for _, command in ipairs(parser._commands) do command_paragraphs(command, common, out) end
  out[#out + 1] = ".SH FILES\n" .. section(paper, "## Files")
  out[#out + 1] = ".SH STATUS AND CHECK\n" .. section(paper, "## Status and check")
  out[#out + 1] = ".SH WHEN MESSAGES FAIL\n" .. section(paper, "## When messages fail")
  out[#out + 1] = ".SH WHAT TO DO WHEN\n" .. section(paper, "## What to do when")
  out[#out + 1] = see_also("herald.lua (5)", "herald\\-rules (7)")
  return roff.page(out)
end

local function whole_paper(name, number, about, file, context, ...)
  return roff.page { head(name, number, about, context), ".SH DESCRIPTION",
                     roff.blocks(lines_of(context.folder .. "/" .. file)), see_also(...) }
end

function pages.settings(context)
  return whole_paper("herald.lua", 5, "settings of a herald router", "settings.md", context, "herald (1)",
    "herald\\-rules (7)")
end

function pages.rules(context)
  return whole_paper("herald-rules", 7, "the Lua of a herald router's rules", "rules.md", context, "herald (1)",
    "herald.lua (5)")
end

return pages
