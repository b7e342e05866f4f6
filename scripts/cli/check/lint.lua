-- lint: Lua files as text: syntax, and what luacheck finds where it is installed.

local core = require "herald.core"
local globals = require "cli.check.globals"

local lint = {}

-- Where distributions and luarocks put it; it is plain Lua that runs under any version.
local ROOTS <const> = {
  "/usr/share/lua/5.4", "/usr/local/share/lua/5.4", "/usr/share/lua/5.1", "/usr/local/share/lua/5.1",
}

local function read(path)
  local file, why = io.open(path, "rb")
  if not file then return nil, why end
  local text = file:read("a")
  file:close()
  return text
end

-- The code of a file, past its byte order mark; or nil and why.
function lint.read(path)
  local text, why = read(path)
  return text and text:gsub("^\xEF\xBB\xBF", ""), why
end

local function sorted(names)
  table.sort(names)
  return names
end

-- Lua files below a folder; the core reads rules/ without its folders, and all of the others.
local function collect(folder, deep, files)
  for _, name in ipairs(sorted(core.list(folder) or {})) do
    local path = folder .. "/" .. name
    local kind = core.kind(path)
    if kind == "folder" and deep then
      collect(path, deep, files)
    elseif kind ~= "folder" and name:match("%.lua$") then
      files[#files + 1] = path
    end
  end
end

-- {path, spec} of every Lua file of the folders, but herald.lua; also of what they share.
function lint.files(parts)
  local files = {}
  local function add(base, names)
    for _, below in ipairs(names) do
      local paths = {}
      collect(base .. below, below ~= "rules", paths)
      for _, path in ipairs(paths) do files[#files + 1] = { path = path, spec = below == "spec" } end
    end
  end
  local above, called_lib = true, false
  for _, part in ipairs(parts) do
    add(part.path == "." and "" or part.path .. "/", { "rules", "lib", "spec" })
    if part.path == "." then above = false end
    if part.path == "lib" then called_lib = true end
  end
  if above then add("", called_lib and { "spec" } or { "lib", "spec" }) end
  return files
end

-- Each file is read and compiled; returns those that are good, with their code.
function lint.syntax(files, found)
  local good = {}
  for _, file in ipairs(files) do
    local code, why = lint.read(file.path)
    local chunk
    if code then chunk, why = load(code, "@" .. file.path, "t") end
    if chunk then
      good[#good + 1] = { path = file.path, spec = file.spec, code = code }
    else
      found:add_words(why, file.path)
    end
  end
  return good
end

-- luacheck as a library; nil where it is not installed. HERALD_LUACHECK names the folder that
-- holds luacheck/, when it is elsewhere.
local function load_luacheck()
  local own = os.getenv("HERALD_LUACHECK")
  local root
  for _, path in ipairs(own and { own } or ROOTS) do
    if not root and core.kind(path .. "/luacheck/init.lua") == "file" then root = path end
  end
  if not root then return nil end
  table.insert(package.searchers, function(name)
    if name ~= "luacheck" and name:sub(1, 9) ~= "luacheck." then return nil end
    local base = root .. "/" .. name:gsub("%.", "/")
    local path = core.kind(base .. ".lua") == "file" and base .. ".lua" or base .. "/init.lua"
    local text = read(path)
    return text and load(text, "@" .. path, "t"), path
  end)
  local ok, luacheck = pcall(require, "luacheck")
  table.remove(package.searchers)
  return ok and luacheck or nil
end

local function rule_globals()
  local std = {}
  for name, fields in pairs(globals) do
    std[name] = {}
    if fields ~= true then
      std[name].fields = {}
      for _, field in ipairs(fields) do std[name].fields[field] = {} end
    else
      std[name].other_fields = true
    end
  end
  return { read_globals = std }
end

-- Style is the author's: what stays is what is undefined, unused or unreachable. Arguments
-- and loop variables may be unused; shadowing is a way to write.
local IGNORED <const> = { "21[23]", "4", "54", "6" }

local function options(file)
  return {
    std = file.spec and "lua54+busted" or rule_globals(),
    allow_defined_top = not file.spec,
    ignore = IGNORED,
  }
end

-- A rule that reads or makes an undefined global fails when it gets there (a global that a
-- file makes at its top level, luacheck's 131, is its own).
local function severity(file, code)
  return not file.spec and code:sub(1, 1) == "1" and code ~= "131" and "error" or "warning"
end

-- Files that luacheck has read before this one, so to speak: those of lint.syntax.
function lint.luacheck(files, found)
  local luacheck = load_luacheck()
  if not luacheck then return end
  for _, file in ipairs(files) do
    local report = luacheck.process_reports({ luacheck.get_report(file.code) }, options(file))[1]
    for _, event in ipairs(report) do
      -- 011 is a syntax error; Lua itself has judged that.
      if event.code ~= "011" then
        found:add(severity(file, event.code),
          { file = file.path, line = event.line, column = event.column }, luacheck.get_message(event))
      end
    end
  end
end

return lint
