-- question: what a request says, as the words of a command. What is wrong comes back as nil, the text
-- and what it is about.

local core = require "herald.core"

local question = {}

local LIMIT_MAX <const> = 1000 -- rows of a page: the router passes them on
local IDS_MAX <const> = 10000
local NEEDED <const> = "!$"

local kinds = {}

function kinds.text(look)
  if look.kind == "string" then return look.value end
  if look.kind == "integer" then return look.json end
  return nil, "a text"
end

local function one_of(...)
  local words = { ... }
  return function(look)
    for _, word in ipairs(words) do
      if look.value == word then return word end
    end
    return nil, "one of " .. table.concat(words, ", ")
  end
end

kinds.side = one_of("inbox", "outbox")
kinds.head = one_of("retry", "dead", "outbox")

-- The command judges how large it may be.
function kinds.number(look)
  local digits = (look.kind == "integer" or look.kind == "string") and look.json:gsub('"', "")
  if digits and digits:match "^%d+$" then return digits end
  return nil, "a whole number"
end

function kinds.limit(look)
  local number = math.tointeger(tonumber(kinds.number(look) or "x"))
  if number and number >= 1 and number <= LIMIT_MAX then return tostring(number) end
  return nil, ("a whole number from 1 to %d"):format(LIMIT_MAX)
end

function kinds.flag(look)
  if look.kind == "boolean" then return look.value end
  return nil, "true or false"
end

function kinds.ids(look)
  local ids, wanted = {}, ("a list of 1 to %d ids"):format(IDS_MAX)
  if look.kind ~= "array" or #look.value == 0 or #look.value > IDS_MAX then return nil, wanted end
  for i, item in ipairs(look.value) do
    if item.kind ~= "integer" then return nil, wanted end
    ids[i] = item.json
  end
  return ids
end

function kinds.json(look)
  return look.json
end

-- As the words behind --header.
function kinds.headers(look)
  local list, wanted = {}, "an object of texts; null takes one away"
  if look.kind ~= "object" then return nil, wanted end
  for name, value in pairs(look.value) do
    if name:find("=", 1, true) or (value.kind ~= "string" and value.kind ~= "null") then return nil, wanted end
    list[#list + 1] = value.kind == "null" and name or name .. "=" .. value.value
  end
  table.sort(list)
  return list
end

-- What is not said, or null, is left out.
local function read(takes, said)
  local args = {}
  for name, look in pairs(said) do
    local kind = takes[name]
    if not kind then
      local known = {}
      for known_name in pairs(takes) do known[#known + 1] = known_name end
      table.sort(known)
      return nil, ("unknown: %s (known: %s)"):format(name, table.concat(known, ", ")), name
    end
    if look.kind ~= "null" then
      local value, wanted = kinds[kind:gsub(NEEDED, "")](look)
      if value == nil then return nil, ("%s must be %s"):format(name, wanted), name end
      args[name] = value
    end
  end
  for name, kind in pairs(takes) do
    if kind:find(NEEDED) and args[name] == nil then return nil, name .. " is needed", name end
  end
  return args
end

local function unescape(text)
  local bad = false
  text = text:gsub("+", " "):gsub("%%(.?.?)", function(digits)
    if not digits:match "^%x%x$" then bad = true return "" end
    return string.char(tonumber(digits, 16))
  end)
  if bad or not utf8.len(text) or text:find("\0", 1, true) then return nil end
  return text
end

-- Of a query string.
function question.of_query(takes, query)
  local said = {}
  for part in query:gmatch "[^&]+" do
    local name, value = part:match "^([^=]+)=?(.*)$"
    name, value = unescape(name or ""), unescape(value or "")
    if not name or name == "" or not value then return nil, "a query string is NAME=VALUE, escaped, in UTF-8", "query" end
    if said[name] then return nil, name .. " is there twice", name end
    said[name] = { kind = "string", value = value, json = value }
  end
  return read(takes, said)
end

-- Of a body, which is a JSON object.
function question.of_body(takes, body)
  local look, why = core.json_look(body, 2)
  if not look then return nil, "the body is no JSON: " .. why, "body" end
  if look.kind ~= "object" then return nil, "the body is no JSON object", "body" end
  return read(takes, look.value)
end

return question
