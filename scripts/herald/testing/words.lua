-- words: what specs write (keys, times, messages), checked and made ready for the core.

local core = require "herald.core"
local nearest = require "herald.nearest"

local words = {}

-- An error at the line of the spec, whoever called whom between it and here.
function words.fail(text)
  local level = 2
  local info = debug.getinfo(level, "Sl")
  while info and (info.source:sub(1, 1) ~= "@" or info.source:match("/luassert/")
    or info.source:match("/busted/")) do
    level = level + 1
    info = debug.getinfo(level, "Sl")
  end
  error(info and ("%s:%d: %s"):format(info.short_src, info.currentline, text) or text, 0)
end

-- Fails unless all keys of `given` are in `known` (a set).
function words.check_keys(what, given, known)
  if type(given) ~= "table" then
    words.fail(("%s takes a table, not a %s"):format(what, type(given)))
  end
  local names = {}
  for name in pairs(known) do names[#names + 1] = name end
  table.sort(names)
  for key in pairs(given) do
    if not known[key] then
      local meant = nearest(tostring(key), names)
      words.fail(("unknown key '%s' in %s%s (known: %s)"):format(tostring(key), what,
        meant and (": did you mean '%s'?"):format(meant) or "", table.concat(names, ", ")))
    end
  end
end

-- "2026-01-31T12:00:00Z" to milliseconds since 1970 UTC; nil: it is something else.
function words.time(text)
  local year, month, day, hour, minute, second =
    tostring(text):match("^(%d%d%d%d)%-(%d%d)%-(%d%d)T(%d%d):(%d%d):(%d%d)Z$")
  if not year then return nil end
  local y, m = math.tointeger(year), math.tointeger(month)
  if m < 3 then y, m = y - 1, m + 12 end -- the year begins with March: its last day may leap
  local days = 365 * y + y // 4 - y // 100 + y // 400 + (153 * (m - 3) + 2) // 5
    + math.tointeger(day) - 719469
  return ((days * 24 + math.tointeger(hour)) * 60 + math.tointeger(minute)) * 60000
    + math.tointeger(second) * 1000
end

-- "1m", or seconds as in rules, to milliseconds; nil: it is something else.
function words.duration(given)
  if type(given) == "number" and given >= 0 then return math.tointeger(given * 1000 // 1) end
  return type(given) == "string" and core.duration(given) or nil
end

local function text_of(given, name)
  local value = given[name]
  if value == nil or type(value) == "string" then return value end
  if math.type(value) == "integer" or getmetatable(value) == "herald.number" then
    return tostring(value)
  end
  words.fail(("%s is a %s, but must be a text or a whole number"):format(name, type(value)))
end

-- What a message has as its properties.
local PROPERTIES <const> = { "content_encoding", "correlation_id", "reply_to", "expiration", "user_id",
  "app_id", "cluster_id", "priority", "delivery_mode" }
words.PROPERTIES = PROPERTIES

-- The properties table, or JSON, with those that stand beside it; of a row that is its content type,
-- too.
local function properties_of(given, row)
  local beside = {}
  for _, name in ipairs(PROPERTIES) do beside[name] = given[name] end
  if row then beside.content_type = given.content_type end
  if next(beside) == nil then return given.properties end
  if type(given.properties) == "string" then words.fail(next(beside) .. " beside properties that are a text") end
  for key, value in pairs(given.properties or {}) do beside[key] = value end
  return beside
end

local function json_of(given, name)
  local value = given[name]
  if type(value) ~= "table" then return value end
  return core.json_encode(value, name)
end

-- What a spec wrote as the core takes it: texts only. `id` false: none. `row`: it is one of the outbox.
function words.message(given, row)
  if given.order_type ~= nil and given.business_key2 ~= nil
    and tostring(given.order_type) ~= tostring(given.business_key2) then
    words.fail("order_type and business_key2 are two names of one thing, but differ here")
  end
  local id = given.id
  if id == nil then id = given.message_id end
  return {
    id = id and text_of({ id = id }, "id") or nil,
    type = text_of(given, "type"),
    business_key1 = text_of(given, "business_key1"),
    business_key2 = text_of(given, given.business_key2 ~= nil and "business_key2" or "order_type"),
    business_key3 = text_of(given, "business_key3"),
    body = json_of(given, "body"), headers = json_of(given, "headers"),
    properties = json_of({ properties = properties_of(given, row) }, "properties"),
    content_type = given.content_type, timestamp = given.timestamp,
  }
end

-- Fields of what `herald dead show --json` prints that say what became of the message.
local FATE <const> = { id = true, side = true, attempts = true, error = true, at = true,
  generation = true, group = true, traceback = true, format = true, tries = true, exchange = true,
  routing_key = true }

local function of_letter(found)
  local given = {}
  for key, value in pairs(found) do
    if not FATE[key] and value ~= core.null then given[key] = value end
  end
  return given
end

-- RabbitMQ's own form: properties and payload. Keys travel as headers there, and what the
-- properties do not say is not there.
local function of_broker(found)
  local given = { message_id = false, timestamp = 0 }
  for key, value in pairs(found.properties) do given[key] = value end
  given.body = found.payload or found.body
  for i = 1, 3 do
    local header = type(given.headers) == "table" and given.headers["business-key-" .. i]
    if header then given["business_key" .. i] = header end
  end
  if given.delivery_mode == 2 then given.delivery_mode = nil end -- it goes without saying
  return given
end

-- A message that was kept in a file, as router:deliver takes it; nil and why not.
function words.message_of_file(path)
  local file, why = io.open(path, "rb")
  if not file then return nil, why end
  local content = file:read("a")
  file:close()
  local ok, found = pcall(core.json_decode, content, path)
  if not ok then return nil, found end
  if type(found) ~= "table" then return nil, path .. ": a JSON object is wanted" end
  if type(found.properties) == "table" then return of_broker(found) end
  if found.error ~= nil and found.attempts ~= nil then return of_letter(found) end
  return found
end

return words
