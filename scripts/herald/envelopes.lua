-- envelopes: how the messages of widely used producers are read (docs/wire.md#named-envelopes).
-- Trusted code: it runs in the rules' state.
--
-- Each function takes the body as text and the properties as the function of an `envelope` does,
-- and returns what that returns; or nil and words for a message that is none of its kind, which
-- no later try would mend.

local json_decode, json_encode, time_ms, null = ...

local BODY_SHOWN = 60

local function is_text(value) return type(value) == "string" and value ~= "" end

local function text_of(value)
  if is_text(value) then return value end
  if math.type(value) == "integer" then return tostring(value) end
  return nil
end

-- The first of these headers that is there.
local function header(p, ...)
  for _, name in ipairs { ... } do
    local value = p.headers[name]
    if value ~= nil and value ~= null then return value end
  end
  return nil
end

local function shown(raw)
  local text = raw:sub(1, BODY_SHOWN):gsub("[^\32-\126]", "?")
  return #raw == 0 and "an empty body" or ("a body that begins with %q"):format(text)
end

local function content(p) return ('content type "%s"'):format(p.content_type or "") end

-- What is read as the body of what was found. A text stays JSON: else it would be taken for bytes.
local function with_body(found, value)
  if value == nil then value = null end
  found.body = type(value) == "string" and json_encode(value) or value
  found.content_type = "application/json"
  return found
end

-- The body as JSON, or nil and why.
local function decoded(raw, p)
  local ok, value = pcall(json_decode, (raw:gsub("^\xef\xbb\xbf", "")))
  if ok then return value end
  return nil, ("%s, %s, is no JSON (%s)"):format(shown(raw), content(p),
    tostring(value):match("herald.json.decode: (.*)") or tostring(value))
end

local function object(raw, p)
  local value, why = decoded(raw, p)
  if why then return nil, why end
  if type(value) == "table" and value[1] == nil then return value end
  return nil, ("%s, %s, is no JSON object"):format(shown(raw), content(p))
end

-- "2026-01-31T12:00:00Z" and its like to ms since 1970; nil for what is no time.
local function time_of(value)
  if not is_text(value) then return nil end
  local text = value:gsub("(%.%d%d%d%d%d%d%d%d%d)%d+", "%1") -- more digits than a nanosecond has
  if not text:find("[Zz]$") and not text:find("[+-]%d%d:?%d%d$") then text = text .. "Z" end
  local ok, ms = pcall(time_ms, text)
  return ok and ms or nil
end

local function seconds(ms) return ms and ms // 1000 or nil end

local M = {}

-- Spring AMQP: Jackson2JsonMessageConverter names the class of what it wrote.
function M.spring(_, p)
  if p.content_type and p.content_type:find("java-serialized-object", 1, true) then
    return nil, "it is a serialized Java object: have its sender use a Jackson2JsonMessageConverter"
  end
  local name = p.type or text_of(header(p, "__TypeId__"))
    or is_text(p.routing_key) and p.routing_key or is_text(p.exchange) and p.exchange
  if not name then return nil, "it has neither a type, nor a header __TypeId__, nor a routing key" end
  return { type = name, id = p.message_id }
end

-- NestJS turns an object into a route by its sorted keys.
local function pattern_text(pattern)
  if type(pattern) ~= "table" then return text_of(pattern) end
  local names, parts = {}, {}
  for name in pairs(pattern) do
    if type(name) ~= "string" then return nil end
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = pattern[name]
    local inner = type(value) == "table" and pattern_text(value)
      or type(value) == "string" and ('"%s"'):format(value) or text_of(value)
    if not inner then return nil end
    parts[#parts + 1] = ('"%s":%s'):format(name, inner)
  end
  return #parts > 0 and "{" .. table.concat(parts, ",") .. "}" or nil
end

-- @nestjs/microservices: emit and send
function M.nestjs(raw, p)
  local body, why = object(raw, p)
  if not body then return nil, why end
  local name = pattern_text(body.pattern)
  if not name then return nil, shown(raw) .. ' has no "pattern"' end
  return with_body({ type = name, id = p.message_id or text_of(body.id) }, body.data)
end

-- Of an array as of an object that the older protocol has.
local function celery_body(value, p)
  if type(value) == "table" and type(value[1]) == "table" then
    return { args = value[1], kwargs = value[2], embed = value[3] }, p.headers
  end
  if type(value) == "table" and value.task then
    return { args = value.args, kwargs = value.kwargs, embed = {} }, value
  end
  return nil
end

-- Celery, protocol 2 (all in headers) and 1 (all in the body). A try of its own that was sent
-- again has the id of the first.
function M.celery(raw, p)
  local value, why = decoded(raw, p)
  if why then return nil, why .. ': herald reads what task_serializer = "json" writes' end
  local body, fields = celery_body(value, p)
  local name, id = body and text_of(fields.task), body and text_of(fields.id)
  if not name or not id then
    return nil, shown(raw) .. " is no task of Celery: task and id are missing"
  end
  local retries = math.tointeger(fields.retries) or 0
  return { type = name, id = retries > 0 and id .. "#" .. retries or id, body = body,
    due_at = time_of(fields.eta), expires_at = time_of(fields.expires) }
end

local BASE64 <const> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64_decoded(text)
  local digits, bits, held, out = {}, 0, 0, {}
  for i = 1, #BASE64 do digits[BASE64:byte(i)] = i - 1 end
  for i = 1, #text do
    local digit = digits[text:byte(i)]
    if digit then
      held, bits = (held << 6 | digit) & 0xffffff, bits + 6
      if bits >= 8 then
        bits = bits - 8
        out[#out + 1] = string.char(held >> bits & 0xff)
      end
    end
  end
  return table.concat(out)
end

local function cloudevent(fields)
  local name, id, source = text_of(fields.type), text_of(fields.id), text_of(fields.source)
  if not (name and id and source) then
    return nil, "it is no CloudEvent: it needs type, id and source"
  end
  return { type = name, id = source .. " " .. id, timestamp = seconds(time_of(fields.time)) }
end

-- CloudEvents 1.0 have no binding to AMQP 0-9-1: the prefixes are those that are in use.
function M.cloudevents(raw, p)
  local content_type = (p.content_type or ""):lower()
  if content_type:find("application/cloudevents-batch", 1, true) then
    return nil, "it is a batch of CloudEvents: have its sender send one in each message"
  end
  local fields = {}
  for _, name in ipairs { "type", "id", "source", "time" } do
    fields[name] = header(p, "ce-" .. name, "cloudEvents:" .. name, "cloudEvents_" .. name)
  end
  if fields.id and not content_type:find("application/cloudevents", 1, true) then
    return cloudevent(fields)
  end
  local event, why = object(raw, p)
  if not event then return nil, why end
  local found, lacks = cloudevent(event)
  if not found then return nil, lacks end
  if event.data ~= nil or not is_text(event.data_base64) then return with_body(found, event.data) end
  found.body = base64_decoded(event.data_base64)
  found.content_type = text_of(event.datacontenttype) or "application/octet-stream"
  return found
end

-- MassTransit: "urn:message:Shop.Contracts:OrderPaid"
function M.masstransit(raw, p)
  local body, why = object(raw, p)
  if not body then return nil, why end
  local names = body.messageType
  local urn = type(names) == "table" and text_of(names[1]) or text_of(names)
  local name = urn and urn:match("^urn:message:(.+)$")
  if not name then
    return nil, shown(raw) .. ' is no envelope of MassTransit: "messageType" has no urn:message:'
  end
  return with_body({ type = name, id = text_of(body.messageId) or p.message_id,
    timestamp = seconds(time_of(body.sentTime)) }, body.message)
end

-- DotNetCore.CAP
function M.cap(_, p)
  local name, id = text_of(header(p, "cap-msg-name")), text_of(header(p, "cap-msg-id"))
  if not name or not id then
    return nil, "it is no message of CAP: it needs the headers cap-msg-name and cap-msg-id"
  end
  return { type = name, id = id, timestamp = seconds(time_of(header(p, "cap-senttime"))) }
end

-- "Shop.OrderPaid, Shop, Version=1.0.0.0, ...;Shop.IEvent, ..." is a Shop.OrderPaid.
local function enclosed_type(text) return is_text(text) and text:match("^[^,;]+") or nil end

-- "2026-01-31 12:00:00:123456 Z", as NServiceBus writes times
local function nservicebus_time(text)
  local day, hour, fraction
  if is_text(text) then day, hour, fraction = text:match("^(%S+) (%d%d:%d%d:%d%d):(%d+) Z$") end
  return day and time_of(day .. "T" .. hour .. "." .. fraction .. "Z")
end

function M.nservicebus(_, p)
  local name = enclosed_type(header(p, "NServiceBus.EnclosedMessageTypes")) or p.type
  local id = p.message_id or text_of(header(p, "NServiceBus.MessageId"))
  if not name or not id then
    return nil, "it is no message of NServiceBus: it needs NServiceBus.EnclosedMessageTypes and an id"
  end
  return { type = name, id = id,
    timestamp = seconds(nservicebus_time(header(p, "NServiceBus.TimeSent"))) }
end

-- Symfony Messenger
function M.symfony(raw, p)
  local name = text_of(header(p, "type"))
  if not name and raw:find("^O:%d+:") then
    return nil, "it is a serialized PHP object: have its sender use the serializer "
      .. "messenger.transport.symfony_serializer"
  end
  if not name then return nil, "it has no header type, in which Symfony names the class" end
  return { type = name, id = p.message_id }
end

-- moleculer: events and requests
function M.moleculer(raw, p)
  local body, why = object(raw, p)
  if not body then return nil, why end
  local name, id = text_of(body.event) or text_of(body.action), text_of(body.id)
  if not name or not id then
    return nil, shown(raw) .. " is no packet of moleculer: it needs event or action, and id"
  end
  local data = body.data
  if data == nil then data = body.params end
  return with_body({ type = name, id = id }, data)
end

-- @node-ts/bus
M["node-ts"] = function(raw, p)
  local body, why = object(raw, p)
  if not body then return nil, why end
  local name = text_of(body["$name"])
  if not name then return nil, shown(raw) .. ' has no "$name"' end
  return { type = name, id = p.message_id }
end

return M
