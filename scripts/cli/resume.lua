-- resume: what an operator has paused goes on (pause.lua).

local core = require "herald.core"
local folder = require "cli.folder"
local pause = require "cli.pause"
local show = require "cli.show"

local resume = {}

function resume.add(parser, common)
  local command = parser:command("resume", "Have what `herald pause` stopped go on.")
  command:argument("what", "A queue's name, or publish."):argname("QUEUE|publish")
  command:flag("--json", "Print JSON.")
  common(command)
end

-- What is wrong where nothing of that name is paused.
local function not_paused(halts, name)
  local names = {}
  for i, h in ipairs(halts) do
    if pause.name(h) == name then return nil end
    names[i] = show.line(pause.name(h), 255)
  end
  return ("%s is not paused by hand; %s"):format(show.line(name, 255),
    #names > 0 and "what is: " .. table.concat(names, ", ") or "nothing is")
end

function resume.run(args)
  local s, code, problem = folder.open_store(args)
  if not s then return code, problem end
  local halts, kind, why = core.halts(s.store)
  if not halts then return folder.exit_code(kind), why end
  local bad = not_paused(halts, args.what)
  if bad then return folder.FAILED, bad end
  return pause.change(args, s, false)
end

return resume
