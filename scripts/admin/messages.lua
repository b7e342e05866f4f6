-- messages: POST /v1/messages: rows of the outbox for who cannot write to the store.

local core = require "herald.core"
local due = require "cli.due"
local folder = require "cli.folder"
local json = require "cli.json"

local MOST <const> = 1000
local TEXTS <const> = { type = "type", key1 = "key1", key2 = "key2", key3 = "key3", message_id = "id",
  delay = "delay", at = "at", key = "key" }
local SCALARS <const> = { string = true, integer = true, number = true, boolean = true }

local function is_bytes(look)
  local inner = look.kind == "object" and core.json_look(look.json, 1).value
  return inner and inner.base64 ~= nil and inner.base64.kind == "string" and next(inner, next(inner)) == nil
end

-- What is wrong with headers, or nil.
local function judge_headers(look)
  if look.kind ~= "object" then return "headers must be an object" end
  for name, value in pairs(core.json_look(look.json, 1).value) do
    if name == "" or #name > 255 then return "the name of a header has 1 to 255 bytes" end
    if not SCALARS[value.kind] and not is_bytes(value) then
      return ("headers.%s must be a text, a number, true or false, or {\"base64\": \"...\"}"):format(name)
    end
  end
end

-- Sets a member in `row`, or returns what is wrong.
local function take(row, name, look)
  if TEXTS[name] then
    if look.kind ~= "string" and look.kind ~= "integer" then return name .. " must be a text" end
    row[TEXTS[name]] = look.kind == "string" and look.value or look.json
  elseif name == "body" then
    row.body = look.json
  elseif name == "headers" then
    row.headers = look.json
    return judge_headers(look)
  elseif name == "properties" then
    row.properties = look.json
    return look.kind ~= "object" and "properties must be an object" or nil
  else
    return ("unknown: %s (known: type, key1, key2, key3, body, headers, properties, message_id, delay, at, key)")
      :format(name)
  end
end

-- The row that a message says, or nil, what is wrong and with which member.
local function read_message(look)
  if look.kind ~= "object" then return nil, "a message must be an object" end
  local row, bad = {}, nil
  for name, member in pairs(look.value) do
    if member.kind ~= "null" or name == "body" then bad = take(row, name, member) end
    if bad then return nil, bad, name end
  end
  if not row.type then return nil, "type is needed", "type" end
  local times = { delay = row.delay, at = row.at, key = row.key }
  row.delay, row.at, row.key = nil, nil, nil
  bad = due.read(times, row)
  if bad then return nil, bad, bad:match "^%-%-(%l+)" end
  return row
end

-- A list of rows, or nil, what is wrong and where.
local function read_all(body)
  local look, why = core.json_look(body, 1)
  if not look then return nil, "the body is no JSON: " .. why, "body" end
  if look.kind ~= "object" then return nil, "the body is no JSON object", "body" end
  local list = look.value.messages
  if not list then
    local row, bad, where = read_message(look)
    return row and { row }, bad, where
  end
  if next(look.value, next(look.value)) then return nil, "beside messages there is nothing else", "messages" end
  local items = list.kind == "array" and core.json_look(list.json, 1).value
  if not items or #items == 0 or #items > MOST then
    return nil, ("messages must be a list of 1 to %d"):format(MOST), "messages"
  end
  local rows = {}
  for i, item in ipairs(items) do
    local bad
    rows[i], bad = read_message(core.json_look(item.json, 1))
    if not rows[i] then return nil, ("messages[%d]: %s"):format(i - 1, bad), ("messages[%d]"):format(i - 1) end
  end
  return rows
end

-- status, JSON, and whether it was answered before; or status, nil, what is wrong and where.
return function(asked)
  local rows, bad, where = read_all(asked.body)
  if not rows then return 400, nil, bad, where end
  local ids, kind, why = core.post_messages(folder.open().store, rows, asked.key, asked.body)
  if ids then return 202, json.encode(json.object { { "message_ids", ids } }), kind end
  if kind == "conflict" then return 422, nil, why, "Idempotency-Key" end
  folder.exit_code(kind)
  return nil, nil, why, why:match "^messages%[%d+%]"
end
