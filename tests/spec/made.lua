-- made: a folder of files for one spec, and the real binary in it.
--
--   local shop = made.folder { ["rules/a.lua"] = "..." }
--   local code, out, err = shop:herald("check", "--json")
--
-- HERALD names the binary; without it that of the same build is taken (specs.c).

local made = {}

local herald = assert(os.getenv "HERALD", "HERALD is to name the binary")

local folder = {}
folder.__index = folder

local function quote(word)
  return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

function made.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

function made.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

function folder:shell(line)
  local out, err = self.base .. "/stdout", self.base .. "/stderr"
  local _, _, code = os.execute(("{ cd %s && %s\n} >%s 2>%s </dev/null"):format(
    quote(self.path), line, quote(out), quote(err)))
  return code, made.read(out), made.read(err)
end

-- Exit code, stdout, stderr. self.env stands in front: "NAME=value".
function folder:herald(...)
  local words = { ... }
  for i, word in ipairs(words) do words[i] = quote(word) end
  local binary = herald:sub(1, 1) == "/" and herald or os.getenv("PWD") .. "/" .. herald
  return self:shell(("env -u HERALD_BROKER TMPDIR=%s %s timeout 60 %s %s"):format(
    quote(self.tmp), self.env or "", quote(binary), table.concat(words, " ")))
end

function folder:write(name, text)
  local path = self.path .. "/" .. name
  if name:find("/", 1, true) then assert(os.execute("mkdir -p " .. quote(path:match("^(.*)/")))) end
  made.write(path, text)
end

function folder:remove()
  os.execute("rm -rf " .. quote(self.base))
end

-- What lies in the folder for temporary files, one name a line.
function folder:leftovers()
  local _, out = self:shell("ls -A " .. quote(self.tmp))
  return out
end

-- A new folder with these files.
function made.folder(files)
  local pipe = assert(io.popen('d=$(mktemp -d) && mkdir "$d/router" "$d/tmp" && echo "$d"'))
  local base = assert(pipe:read("l"), "mktemp -d made no folder")
  pipe:close()
  local self = setmetatable({ base = base, path = base .. "/router", tmp = base .. "/tmp" }, folder)
  for name, text in pairs(files) do self:write(name, text) end
  return self
end

return made
