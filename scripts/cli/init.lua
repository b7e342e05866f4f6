-- init: `herald init`: a router folder to begin with. The files are in scripts/init/ and
-- scripts/annotations/.

local core = require "herald.core"
local folder = require "cli.folder"

local init = {}

-- Path in the new folder, name in the binary.
init.files = {
  { "herald.lua", "init.herald" },
  { "rules/welcome.lua", "init.rules.welcome" },
  { "migrations/001_account.sql", "init.migrations.001_account.sql" },
  { "spec/welcome_spec.lua", "init.spec.welcome_spec" },
  { ".luarc.json", "init.luarc.json" },
  { ".gitignore", "init.gitignore" },
  { ".herald/herald.lua", "annotations.herald" },
  { ".herald/herald/testing.lua", "annotations.testing" },
}

function init.add(parser)
  local command = parser:command("init", "Make a router folder to begin with.")
  command:argument("folder", "The new folder."):argname("DIR")
end

-- A path as a shell takes it.
local function quoted(path)
  if path:match("^[%w_./@%%+=:,-]+$") then return path end
  return "'" .. path:gsub("'", "'\\''") .. "'"
end

-- Makes a folder and those above it; true, or nil and why.
local function make_folders(path)
  local at = path:sub(1, 1) == "/" and "/" or ""
  for part in path:gmatch("[^/]+") do
    at = at .. part
    local made, why = core.make_folder(at)
    if not made then return nil, ("%s: %s"):format(at, why) end
    at = at .. "/"
  end
  return true
end

local function write(path, text)
  local made, why = make_folders(path:match("^(.*)/[^/]*$"))
  if not made then return nil, why end
  local file, wrong = io.open(path, "wb")
  if not file then return nil, wrong end
  local written = file:write(text)
  local closed, full = file:close()
  if not written or not closed then return nil, ("%s: %s"):format(path, full or "cannot be written") end
  return true
end

-- Files of ours that are there already.
local function present(base)
  local names = {}
  for _, file in ipairs(init.files) do
    if core.kind(base .. file[1]) then names[#names + 1] = file[1] end
  end
  return names
end

function init.run(args)
  local where = args.folder
  if where == "" then return folder.USAGE, "DIR is empty: name the new folder" end
  local kind = core.kind(where)
  if kind and kind ~= "folder" then return folder.USAGE, where .. " is there and no folder" end
  local base = where:match("/$") and where or where .. "/"
  local there = present(base)
  if #there > 0 then
    return folder.FAILED, ("%s has %s already: nothing was written. Name a new folder"):format(where,
      table.concat(there, ", "))
  end
  for _, file in ipairs(init.files) do
    local done, why = write(base .. file[1], core.embedded(file[2]))
    if not done then return folder.FAILED, why end
  end
  local herald = quoted(arg[0]) .. " -C " .. quoted(where)
  io.stdout:write(("%s is a router now. Next:\n\n"):format(where),
    ("  %s check    # judges settings, rules, migrations and SQL\n"):format(herald),
    ("  %s test     # runs spec/*_spec.lua\n"):format(herald),
    ("  %s run      # the router; edit rules/ while it runs\n"):format(herald))
end

return init
