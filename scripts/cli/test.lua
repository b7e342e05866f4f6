-- test: `herald test`: runs the specs of a router folder, and of what it includes, with
-- busted. They have herald.testing (../herald/testing.lua).

local core = require "herald.core"
local folder = require "cli.folder"

local test = {}

function test.add(parser, common)
  local command = parser:command("test", "Run the specs in spec/ with busted.")
  command:argument("files", "Spec files or folders, instead of spec/."):args("*")
  command:option("--filter", "Only specs whose name matches the Lua pattern."):argname("PATTERN")
  command:option("--output", "How busted prints: plainTerminal, utfTerminal, TAP, json, junit ..."):argname("NAME")
  common(command)
end

local function has_specs(path)
  local kind = core.kind(path)
  if kind ~= "folder" then return kind == "file" end
  for _, name in ipairs(core.list(path) or {}) do
    local inside = path .. "/" .. name
    if name:match("_spec%.lua$") or (core.kind(inside) == "folder" and has_specs(inside)) then return true end
  end
  return false
end

-- The folders to look for specs in, and those of them that have some.
local function find_specs(s)
  local looked, found, seen = {}, {}, {}
  local function look(path)
    if seen[path] then return end
    seen[path] = true
    looked[#looked + 1] = path
    if has_specs(path) then found[#found + 1] = path end
  end
  look "spec"
  for _, part in ipairs(folder.parts(s)) do look(part.path == "." and "spec" or part.path .. "/spec") end
  return looked, found
end

-- busted's command line. Its own settings file is obeyed: it is the author's.
local function words(args, paths)
  local list = { "--pattern=_spec%.lua$", "--lpath=./?.lua;./spec/?.lua" }
  for _, name in ipairs { "filter", "output" } do
    if args[name] then list[#list + 1] = ("--%s=%s"):format(name, args[name]) end
  end
  list[#list + 1] = "--"
  table.move(paths, 1, #paths, #list + 1, list)
  return list
end

function test.run(args)
  local s, code, problem = folder.open(args)
  if not s then return code, problem end
  local paths = args.files
  if #paths == 0 then
    local looked
    looked, paths = find_specs(s)
    if #paths == 0 then
      return folder.FAILED, ("no specs in %s: a spec is a file such as spec/paid_spec.lua"):format(
        table.concat(looked, ", "))
    end
  end
  for _, path in ipairs(paths) do
    if not has_specs(path) then
      return folder.FAILED, core.kind(path) == "folder" and "no specs in " .. path or "no spec file " .. path
    end
  end
  local status, kind, why = core.run_specs(words(args, paths))
  if not status then return kind == "config" and folder.FAILED or folder.exit_code(kind), why end
  return status ~= 0 and folder.FAILED or nil
end

return test
