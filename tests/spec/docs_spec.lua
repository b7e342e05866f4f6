-- The papers: every link leads somewhere, every name is told. What comments cite is looked after by
-- tests/floors.sh.

local function lines_of(path)
  local list = {}
  for line in io.lines(path) do list[#list + 1] = line end
  return list
end

local function text_of(path) return table.concat(lines_of(path), "\n") end

local function listed(command)
  local pipe, names = assert(io.popen(command)), {}
  for name in pipe:lines() do names[#names + 1] = name end
  pipe:close()
  return names
end

local papers = listed "ls *.md docs/*.md examples/*.md examples/*/README.md core/README.md core/*/README.md scripts/README.md tests/README.md"

-- A heading's anchor, as GitHub makes it.
local function anchor(heading)
  return (heading:gsub("`", ""):lower():gsub("[^%w%s_\x80-\xff-]", ""):gsub("%s", "-"))
end

local function anchors_of(path)
  local there, code = {}, false
  for _, line in ipairs(lines_of(path)) do
    if line:match "^%s*```" then code = not code end
    local heading = not code and line:match "^#+%s+(.-)%s*$"
    if heading then there[anchor(heading)] = true end
    for id in line:gmatch '<a id="([^"]+)">' do there[id] = true end
  end
  return there
end

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- folder + "../x/y" without dots.
local function resolved(folder, path)
  local parts = {}
  for part in (folder .. "/" .. path):gmatch "[^/]+" do
    if part == ".." then table.remove(parts) elseif part ~= "." then parts[#parts + 1] = part end
  end
  return table.concat(parts, "/")
end

-- What is wrong with a link to a file and a heading of it; nil: nothing.
local function broken(path, heading)
  if not exists(path) then return "no file " .. path end
  if heading and not anchors_of(path)[heading] then return ("no heading #%s in %s"):format(heading, path) end
end

local function without_code(text)
  return (("\n" .. text):gsub("\n```.-\n```", ""):gsub("`[^`\n]*`", ""))
end

describe("the papers", function()
  it("are there", function() assert.truthy(#papers > 8) end)

  for _, paper in ipairs(papers) do
    it("have links that lead somewhere: " .. paper, function()
      local wrong = {}
      for link in without_code(text_of(paper)):gmatch "%]%(([^)%s]+)%)" do
        local path, heading = link:match "^([^#]*)#?(.*)$"
        if not link:match "^%a+:" then
          local target = path == "" and paper or resolved(paper:match "^(.*)/[^/]*$" or "", path)
          wrong[#wrong + 1] = broken(target, heading ~= "" and heading or nil)
        end
      end
      assert.same({}, wrong)
    end)
  end
end)

describe("docs/rules.md", function()
  local told = {}
  for word in text_of "docs/rules.md":gmatch "[%w_]+" do told[word] = true end

  for _, path in ipairs { "scripts/annotations/herald.lua", "scripts/annotations/testing.lua" } do
    it("tells every name of " .. path, function()
      local lacking, n = {}, 0
      for line in io.lines(path) do
        local name = line:match "^%-%-%-@field ([%w_]+)" or line:match "^function [%w_]+[.:]([%w_]+)%("
        n = n + (name and 1 or 0)
        if name and not told[name] then lacking[#lacking + 1] = name end
      end
      assert.same({}, lacking)
      assert.truthy(n > 30)
    end)
  end
end)

describe("docs/operations.md", function()
  it("tells every event of the log", function()
    local told, n = {}, 0
    for name in text_of "docs/operations.md":gmatch "`([a-z]+%.[a-z_]+)`" do told[name] = true end
    local lacking, of = {}, { broker = true, engine = true, link = true, log = true, message = true,
      messages = true, outbox = true, route = true, router = true, rules = true, script = true, store = true,
      strike = true, subscription = true, turn = true }
    for _, quoted in ipairs(listed [[grep -rhoE '"[a-z]+\.[a-z_]+"' core --include=*.c | sort -u]]) do
      local name = quoted:match '"(.*)"'
      if of[name:match "^%a+"] then
        n = n + 1
        if not told[name] then lacking[#lacking + 1] = name end
      end
    end
    assert.same({}, lacking)
    assert.truthy(n > 50)
  end)
end)

describe("README.md", function()
  it("leads to every paper and stays short", function()
    local text, lacking = text_of "README.md", {}
    for _, paper in ipairs(listed "ls *.md docs/*.md") do
      if paper ~= "README.md" and not text:find("](" .. paper, 1, true) then lacking[#lacking + 1] = paper end
    end
    assert.same({}, lacking)
    assert.truthy(#lines_of "README.md" <= 200)
  end)
end)
