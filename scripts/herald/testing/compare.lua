-- compare: what the matchers of herald.testing ask, and how both sides are shown.

local core = require "herald.core"
local words = require "herald.testing.words"

local compare = {}

local null = core.null

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b)
    if math.type(a) and math.type(b) then return a < b end
    return tostring(a) < tostring(b)
  end)
  return keys
end

local function show_value(value)
  if value == null then return "NULL" end
  if type(value) == "string" then return (("%q"):format(value):gsub("\\\n", "\\n")) end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for _, key in ipairs(sorted_keys(value)) do
    local shown = show_value(value[key])
    parts[#parts + 1] = math.type(key) and shown or ("%s = %s"):format(key, shown)
  end
  return #parts == 0 and "{}" or "{ " .. table.concat(parts, ", ") .. " }"
end

-- One table a line.
function compare.show(rows)
  if #rows == 0 then return "  (nothing)" end
  local lines = {}
  for i, row in ipairs(rows) do lines[i] = "  " .. show_value(row) end
  return table.concat(lines, "\n")
end

-- A number that Lua has not is given by its text.
local function is_big(value) return getmetatable(value) == "herald.number" end

local function equal(a, b)
  if a == null then a = nil end
  if b == null then b = nil end
  if is_big(a) or is_big(b) then return tostring(a) == tostring(b) end
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not equal(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

-- Fields that hold prose: a part of it, or a pattern, is enough.
local PROSE <const> = { error = true, reason = true, traceback = true, text = true }

local function field_fits(name, have, want)
  if want == null then return have == nil end
  if have == nil then return false end
  if type(want) == "table" and type(have) == "string" then
    local ok, decoded = pcall(core.json_decode, have, name)
    return ok and equal(decoded, want)
  end
  if type(want) == "table" then return equal(have, want) end
  if have == want or tostring(have) == tostring(want) then return true end
  if not PROSE[name] or type(want) ~= "string" then return false end
  if have:find(want, 1, true) then return true end
  local ok, at = pcall(string.find, have, want) -- a bad pattern is no pattern
  return ok and at ~= nil
end

-- Whether one of the rows has all the wanted fields. `known` names the fields there are.
function compare.any(what, rows, wanted, known)
  words.check_keys(what, wanted, known)
  for _, row in ipairs(rows) do
    local fits = true
    for name, want in pairs(wanted) do fits = fits and field_fits(name, row[name], want) end
    if fits then return true end
  end
  return false
end

-- A row that was written as a list has the values in the order of the columns.
local function by_name(row, columns)
  if row[1] == nil and next(row) ~= nil then return row end
  local named = {}
  for i, column in ipairs(columns) do named[column] = row[i] end
  return named
end

-- Whether the rows are these, all of them, in this order.
function compare.same(rows, columns, wanted)
  if #rows ~= #wanted then return false end
  for i, row in ipairs(rows) do
    if not equal(row, by_name(wanted[i], columns)) then return false end
  end
  return true
end

return compare
