-- spec_helper: runs a router folder of the examples with the real binary.
--
--   local router = require("spec_helper").copy "orders"
--
-- The copy lives in a temporary folder, has a store of its own and uses the embedded
-- broker, whatever HERALD_BROKER says. HERALD names the binary; without it the one in
-- build/ of the current folder is taken.

local helper = {}

local here = debug.getinfo(1, "S").source:match("^@(.*)spec_helper%.lua$")
local herald = os.getenv("HERALD") or "build/herald"

local router = {}
router.__index = router

local function quote(word)
  return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

-- Runs a command line; returns its exit code and what it wrote to stdout and stderr.
function router:shell(line)
  local out, err = self.base .. "/stdout", self.base .. "/stderr"
  local _, _, code = os.execute(("{ %s\n} >%s 2>%s </dev/null"):format(line, quote(out), quote(err)))
  return code, read(out), read(err)
end

-- The same, and an error unless it ended with 0; returns what it wrote to stdout.
function router:must(line)
  local code, out, err = self:shell(line)
  if code ~= 0 then error(("exit code %s of: %s\n%s%s"):format(code, line, out, err), 2) end
  return out
end

-- Runs SQL on the store; returns the answer as text, without the last line end.
function router:sql(text)
  write(self.base .. "/input.sql", ".timeout 5000\n" .. text .. "\n")
  local out = self:must(("sqlite3 -batch -bail -init /dev/null %s <%s"):format(
    quote(self.store), quote(self.base .. "/input.sql")))
  return (out:gsub("\n$", ""))
end

-- Adds a file to the folder; or replaces one.
function router:file(name, text)
  write(self.folder .. "/" .. name, text)
end

local function words(...)
  local list = { ... }
  for i, word in ipairs(list) do list[i] = quote(word) end
  return table.concat(list, " ")
end

-- Runs `herald -C FOLDER ...`; returns what it wrote to stdout.
function router:herald(...)
  return self:must(("env -u HERALD_BROKER timeout 60 %s -C %s %s"):format(
    quote(herald), quote(self.folder), words(...)))
end

-- Runs the router until nothing is left to do.
function router:run()
  return self:herald("run", "--until-idle")
end

function router:remove()
  os.execute("rm -rf " .. quote(self.base))
end

-- A copy of examples/course-enrolment/NAME, its store already made.
function helper.copy(name)
  local pipe = assert(io.popen("mktemp -d"))
  local base = pipe:read("l")
  pipe:close()
  assert(base, "mktemp -d made no folder")
  local self = setmetatable({ base = base, folder = base .. "/" .. name }, router)
  self.store = ("%s/%s.db"):format(self.folder, name)
  self:must(("cp -R %s %s"):format(quote(here .. "course-enrolment/" .. name), quote(self.folder)))
  self:must(("cd %s && rm -f -- *.db* herald.sock"):format(quote(self.folder))) -- of a run there
  self:run()
  return self
end

return helper
