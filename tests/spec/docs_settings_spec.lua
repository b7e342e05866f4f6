-- docs/settings.md and the program name the same settings, with the same defaults and bounds.

local core = require "herald.core"
local settings = require "cli.settings"

-- The rows of the table under a heading: {cells}, the first without its backticks.
local function rows(heading)
  local found, list = false, {}
  for line in io.lines "docs/settings.md" do
    if line:match "^#" then found = line == heading end
    local cells = {}
    for cell in line:gmatch "|%s*([^|]-)%s*%f[|]" do cells[#cells + 1] = cell end
    cells[1] = found and cells[1] and cells[1]:match "^`([%w_]+)`$"
    if cells[1] then list[#list + 1] = cells end
  end
  return list
end

local function names(list, name)
  local all = {}
  for i, entry in ipairs(list) do all[i] = entry[name] end
  return all
end

-- The value of a cell such as `"30s"`.
local function value(cell)
  return assert(load("return " .. (cell:match "^`(.+)`$" or error("no value: " .. cell)), "=cell", "t", {}))()
end

local function size(bytes)
  return bytes >= 1 << 30 and ('"%dGiB"'):format(bytes >> 30) or ('"%dMiB"'):format(bytes >> 20)
end

local bounds = {
  integer = function(entry) return ("`%d` to `%d`"):format(entry.min, entry.max) end,
  number = function(entry) return ("`%g` to `%g`"):format(entry.min, entry.max) end,
  size = function(entry) return ("`%s` to `%s`"):format(size(entry.min), size(entry.max)) end,
  duration = function(entry) return ('`"%s"` to `"%s"`'):format(entry.min, entry.max) end,
  choice = function(entry) return '`"' .. table.concat(entry.choices, '"`, `"') .. '"`' end,
}
bounds.durations = bounds.duration
bounds.boolean = function() return "`true`, `false`" end

local function bounded(entry, cell)
  if bounds[entry.kind] then
    local wanted = bounds[entry.kind](entry)
    assert.equal(wanted, cell:sub(1, #wanted), entry.name)
  end
end

describe("docs/settings.md", function()
  local told = rows "## Every setting"

  it("names every setting, in the order of the program", function()
    assert.same(names(settings.schema, "name"), names(told, 1))
  end)

  for i, entry in ipairs(settings.schema) do
    it("says the default of " .. entry.name, function()
      local given = { [entry.name] = value(told[i][3]) }
      local default = entry.kind == "policy" and { [entry.name] = {} } or {}
      assert.same(assert(settings.check(default))[entry.name], assert(settings.check(given))[entry.name])
    end)

    it("says the bounds of " .. entry.name, function() bounded(entry, told[i][4]) end)

    it("says whether a reload takes " .. entry.name, function()
      assert.equal(entry.live and "yes" or "no", told[i][5])
    end)
  end

  it("is what the core knows, but for the folders", function()
    local wanted, known = {}, {}
    for _, entry in ipairs(settings.schema) do
      if entry.name ~= "include" then
        wanted[#wanted + 1] = entry.name .. (entry.live and " live" or "")
          .. " " .. table.concat(entry.choices or {}, " ")
      end
    end
    local file = assert(io.open "core/base/settings.c")
    for name, live, choices in file:read "a":gmatch '{"([%w_]+)", SETTING_[^)]*%), (%a+),%s*{([^}]*)}}' do
      local words = choices == "NULL" and "" or choices:gsub('[",]', "")
      known[#known + 1] = name .. (live == "true" and " live" or "") .. " " .. words
    end
    file:close()
    assert.same(wanted, known)
  end)

  local parts = rows "## Retry policies"

  it("names every part of a policy", function()
    local known, there = {}, {}
    for name in pairs(settings.policy) do known[name] = true end
    for _, row in ipairs(parts) do there[row[1]] = true end
    assert.same(known, there)
  end)

  for _, row in ipairs(parts) do
    it("says the default and the bounds of a policy's " .. row[1], function()
      local entry = settings.policy[row[1]]
      local given = value(row[2])
      assert.equal(entry.default, given)
      bounded(entry, row[3])
    end)
  end

  for name, heading in pairs { tls = "## TLS", admin = "## Admin" } do
    local told_parts = rows(heading)

    it("names every part of " .. name, function()
      local known, there = {}, {}
      for part in pairs(settings[name]) do known[part] = true end
      for _, row in ipairs(told_parts) do there[row[1]] = true end
      assert.same(known, there)
    end)

    for _, row in ipairs(told_parts) do
      it(("says the default and the bounds of %s.%s"):format(name, row[1]), function()
        local entry = settings[name][row[1]]
        assert.equal(entry.default, value(row[2]))
        bounded(entry, row[3])
      end)
    end
  end

  it("has tables that can be read", function()
    assert.truthy(#told > 20 and #parts > 5)
    assert.equal(30000, core.duration "30s")
  end)
end)
