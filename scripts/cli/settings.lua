-- settings: reads a router folder's herald.lua, which is data only, and checks it.
--
-- The result has every setting with its default, durations in milliseconds and
-- sizes in bytes. What is wrong comes back as text: what, where, what to do.

local core = require "herald.core"
local nearest = require "herald.nearest"

local settings = {}

-- name, kind, default, and what the kind needs; live: a reload takes it, everything else needs a
-- restart. docs/settings.md says the same in the same order (tests/spec/docs_settings_spec.lua).
settings.schema = {
  { name = "store", kind = "string", default = "herald.db" },
  { name = "broker", kind = "broker", default = "embedded" },
  { name = "password_file", kind = "string" },
  { name = "tls", kind = "tls", default = {} },
  { name = "include", kind = "names" },
  { name = "socket", kind = "string" },
  { name = "probe", kind = "address" },
  { name = "spans", kind = "spans" },
  { name = "admin", kind = "admin" },
  { name = "name", kind = "string", default = "herald" },
  { name = "log_level", kind = "choice", live = true, default = "info",
    choices = { "debug", "info", "warn", "error" } },
  { name = "log_format", kind = "choice", default = "logfmt", choices = { "logfmt", "json" } },
  { name = "publish_window", kind = "integer", default = 1200, min = 1, max = 65536 },
  { name = "confirm_timeout", kind = "duration", default = "30s", min = "1s", max = "10m" },
  { name = "prefetch_bytes", kind = "size", default = "64MiB", min = 1 << 20, max = 1 << 34 },
  { name = "rescue_after", kind = "integer", default = 2, min = 1, max = 1000 },
  { name = "heartbeat", kind = "duration", default = "15s", min = "2s", max = "10m" },
  { name = "handler_timeout", kind = "duration", live = true, default = "5s", min = "10ms", max = "5m" },
  { name = "watchdog", kind = "duration", default = "30s", min = "1s", max = "1h" },
  { name = "handler_memory", kind = "size", live = true, default = "64MiB", min = 1 << 20, max = 1 << 34 },
  { name = "retry", kind = "policy", live = true, default = {} },
  { name = "publish_retry", kind = "policy", live = true, default = {}, attempts = 50, max_delay = "5m",
    jitter = 0.2 },
  { name = "recent_messages", kind = "integer", default = 100, min = 0, max = 10000 },
  { name = "message_max", kind = "size", default = "16MiB", min = 1 << 20, max = 16 << 20 },
  { name = "inbox_window", kind = "duration", default = "7d", min = "1m", max = "3650d" },
  { name = "history", kind = "duration", live = true, default = false, off = true, min = "1m",
    max = "3650d" },
  { name = "trace_context", kind = "choice", live = true, default = "keep",
    choices = { "keep", "make", "off" } },
  { name = "dead_letters_above", kind = "integer", live = true, default = 100, min = 0, max = 1000000000 },
  { name = "disk_low", kind = "size", live = true, default = "1GiB", min = 1 << 20, max = 1 << 50 },
  { name = "removed_rules", kind = "choice", live = true, default = "wait", choices = { "wait", "refuse" } },
  { name = "stop_timeout", kind = "duration", default = "8s", min = "0s", max = "10m" },
}

local units = { B = 1, KiB = 1 << 10, MiB = 1 << 20, GiB = 1 << 30 }

local kinds = {}

function kinds.string(value)
  if type(value) ~= "string" or value == "" then return nil, "a text" end
  return value
end

local HOSTS_MAX <const> = 16

-- Several URLs as one text, or nil where it is no list of them.
local function joined(list)
  local n = 0
  for key, url in pairs(list) do
    n = n + 1
    if math.type(key) ~= "integer" or type(url) ~= "string" or not url:match "^amqps?://%S+$" then return nil end
  end
  return n == #list and n > 0 and n <= HOSTS_MAX and table.concat(list, " ") or nil
end

-- Its value is never shown: it may hold a password.
function kinds.broker(value)
  if value == "embedded" then return value end
  if type(value) == "table" then
    value = joined(value)
    if not value then return nil, '"embedded", a URL, or a list of 1 to 16 URLs without spaces' end
  end
  local good, why
  if type(value) == "string" then good, why = core.broker_url(value) end
  if good then return value end
  return nil, '"embedded" or a URL' .. (why and why:gsub("^broker URL", "") or " such as amqp://host/vhost")
end

function kinds.address(value)
  local good = type(value) == "string" and not value:match "^unix:" and core.address(value)
  return good and value or nil, 'HOST:PORT with a number for the host, such as "127.0.0.1:9121"'
end

function kinds.spans(value)
  local wanted = 'a file such as "spans.jsonl", or a URL such as "http://localhost:4318/v1/traces"'
  if type(value) ~= "string" or value == "" then return nil, wanted end
  if value:find "://" and not value:find "^https?://[^/%s]+/%S*$" then return nil, wanted end
  return value
end

function kinds.names(value)
  if type(value) ~= "table" then return nil, 'a list of folders such as { "orders", "learning" }' end
  local seen, names, count = {}, {}, 0
  for key, name in pairs(value) do
    count = count + 1
    if math.type(key) ~= "integer" or type(name) ~= "string" or not name:match("^[%w_-]+$") then
      return nil, "a list of folder names made of letters, digits, - and _"
    end
    if seen[name] then return nil, ("a list without repeats (%q stands twice)"):format(name) end
    seen[name] = true
  end
  for i, name in ipairs(value) do names[i] = name end
  if count == 0 then return nil, "a list with at least one folder" end
  if count ~= #names then return nil, "a list without holes" end
  return names
end

function kinds.choice(value, entry)
  for _, choice in ipairs(entry.choices) do
    if value == choice then return value end
  end
  return nil, "one of " .. table.concat(entry.choices, ", ")
end

function kinds.integer(value, entry)
  if math.type(value) == "integer" and value >= entry.min and value <= entry.max then return value end
  return nil, ("a whole number from %d to %d"):format(entry.min, entry.max)
end

-- false is 0 where an entry may be off.
function kinds.duration(value, entry)
  if entry.off and value == false then return 0 end
  local ms = type(value) == "string" and core.duration(value)
  if ms and ms >= core.duration(entry.min) and ms <= core.duration(entry.max) then return ms end
  return nil, ('a duration such as "30s" (ms, s, m, h, d) from %s to %s%s'):format(entry.min, entry.max,
    entry.off and ", or false" or "")
end

function kinds.size(value, entry)
  local number, unit = tostring(value):match("^(%d+)%s*(%a+)$")
  local bytes = number and units[unit] and tonumber(number) * units[unit]
  if bytes and bytes >= entry.min and bytes <= entry.max then return bytes end
  return nil, ('a size such as "64MiB" from %dMiB to %dMiB'):format(entry.min >> 20, entry.max >> 20)
end

-- A retry policy as herald.subscribe takes it; every key but those given is the built-in one,
-- or what stands beside the setting's kind. A kind that has parts says which one is wrong, and
-- its value.
settings.policy = {
  attempts = { kind = "integer", default = 10, min = 1, max = 1000000 },
  factor = { kind = "number", default = 2, min = 1, max = 1000 },
  jitter = { kind = "number", default = 0.1, min = 0, max = 1 },
  delay = { kind = "durations", default = "1s", min = "0s", max = "36500d" },
  max_delay = { kind = "duration", default = "1h", min = "0s", max = "36500d" },
  max_age = { kind = "duration", default = "0s", min = "0s", max = "36500d" },
}
local DELAYS_MAX <const> = 16

function kinds.number(value, entry)
  if type(value) == "number" and value >= entry.min and value <= entry.max then return value end
  return nil, ("a number from %g to %g"):format(entry.min, entry.max)
end

function kinds.durations(value, entry)
  if type(value) ~= "table" then value = { value } end
  local list, n = {}, 0
  for i, item in ipairs(value) do
    local ms, wanted = kinds.duration(item, entry)
    if not ms then return nil, wanted end
    list[i] = ms
  end
  for _ in pairs(value) do n = n + 1 end -- also what is no part of the list
  if n == 0 or n > DELAYS_MAX or n ~= #list then return nil, "a duration or a list of 1 to 16" end
  return list
end

-- What is wrong with the names in a table that may have those of `parts`, or nil.
local function unknown_part(value, parts)
  local names = {}
  for name in pairs(parts) do names[#names + 1] = name end
  table.sort(names)
  for key in pairs(value) do
    if not parts[key] then
      local guess = nearest(tostring(key), names)
      return ("a table without '%s'%s (known: %s)"):format(tostring(key),
        guess and (": did you mean '%s'?"):format(guess) or "", table.concat(names, ", "))
    end
  end
end

-- A table with the parts that `parts` has, or nil, what it must be, and, where it is one that is
-- known, the part that is wrong and its value.
local function read_parts(value, parts)
  local wrong = unknown_part(value, parts)
  if wrong then return nil, wrong end
  local checked = {}
  for name, entry in pairs(parts) do
    local given = value[name]
    if given == nil then given = entry.default end
    if given ~= nil then
      local good, wanted = kinds[entry.kind](given, entry)
      if good == nil then return nil, wanted, name, given end
      checked[name] = good
    end
  end
  return checked
end

function kinds.policy(value, setting)
  if type(value) ~= "table" then return nil, "a table such as { attempts = 5, delay = \"10s\" }" end
  local wrong = unknown_part(value, settings.policy)
  if wrong then return nil, wrong end
  local checked = {}
  for name, entry in pairs(settings.policy) do
    local given = value[name]
    if given == nil then given = setting[name] or entry.default end
    local good, wanted = kinds[entry.kind](given, entry)
    if good == nil then return nil, wanted, name, given end
    checked[name == "delay" and "delays" or name] = good
  end
  return checked
end

-- What `tls` may say. A key may stand in the file of its certificate.
settings.tls = {
  ca = { kind = "string" },
  cert = { kind = "string" },
  key = { kind = "string" },
  server_name = { kind = "string" },
  verify = { kind = "boolean", default = true },
  min_version = { kind = "choice", default = "1.2", choices = { "1.2", "1.3" } },
}

function kinds.boolean(value)
  if type(value) == "boolean" then return value end
  return nil, "true or false"
end

function kinds.tls(value)
  if type(value) ~= "table" then return nil, "a table such as { ca = \"ca.pem\" }" end
  local checked, wanted, part, given = read_parts(value, settings.tls)
  if not checked then return nil, wanted, part, given end
  if checked.key and not checked.cert then
    return nil, "a table with the certificate (cert) that the key belongs to"
  end
  checked.key = checked.key or checked.cert
  return checked
end

-- What `admin` may say; an address alone is its `listen`.
settings.admin = {
  listen = { kind = "door" },
  token_file = { kind = "string" },
  read_token_file = { kind = "string" },
  hosts = { kind = "hosts" },
  rate = { kind = "integer", default = 50, min = 1, max = 10000 },
}

function kinds.door(value)
  local good = type(value) == "string" and core.address(value)
  return good and value or nil, 'HOST:PORT with a number for the host, such as "127.0.0.1:9120", or "unix:PATH"'
end

-- Names as one text.
function kinds.hosts(value)
  local wanted = 'a list of 1 to 16 names such as { "herald.example.com" }'
  if type(value) ~= "table" then return nil, wanted end
  local n = 0
  for key, name in pairs(value) do
    n = n + 1
    if math.type(key) ~= "integer" or type(name) ~= "string" or not name:match "^[%w.-]+$" then return nil, wanted end
  end
  if n == 0 or n > HOSTS_MAX or n ~= #value then return nil, wanted end
  return table.concat(value, " "):lower()
end

-- Who is far away needs a token (docs/admin.md).
function kinds.admin(value)
  if type(value) == "string" then value = { listen = value } end
  if type(value) ~= "table" or value.listen == nil then
    return nil, 'an address such as "127.0.0.1:9120" or "unix:herald-admin.sock", or a table with `listen`'
  end
  local checked, wanted, part, given = read_parts(value, settings.admin)
  if not checked then return nil, wanted, part, given end
  local _, near = core.address(checked.listen)
  if not near and not checked.token_file and not checked.read_token_file then
    return nil, ("a table with a token_file, since %s is reached from other machines; or a Unix socket "
      .. "or 127.0.0.1"):format(checked.listen)
  end
  return checked
end

local function shown(value)
  if type(value) == "string" then return ("%q"):format(value) end
  return type(value) == "table" and "a table" or tostring(value)
end

-- What is wrong with a setting, or with a part of it.
local function refusal(entry, value, wanted, part, part_value)
  if entry.kind == "broker" then return ("setting 'broker' must be %s"):format(wanted) end
  local name = entry.name
  if part then name, value = name .. "." .. part, part_value end
  return ("setting '%s' is %s, but must be %s"):format(name, shown(value), wanted)
end

-- Where the socket is unless a place is set: a router's folder may be read-only.
local function beside(store)
  return (store:gsub("%.db$", "")) .. ".sock"
end

-- Checks a table of settings; returns the complete one, or nil, what is wrong, and, where it
-- is one that is known, the name of the setting.
function settings.check(given)
  local names, checked = {}, {}
  for _, entry in ipairs(settings.schema) do names[#names + 1] = entry.name end
  for key in pairs(given) do
    local known = false
    for _, name in ipairs(names) do known = known or name == key end
    if not known then
      local guess = nearest(tostring(key), names)
      return nil, ("unknown setting '%s'%s (known: %s)"):format(tostring(key),
        guess and (": did you mean '%s'?"):format(guess) or "", table.concat(names, ", "))
    end
  end
  for _, entry in ipairs(settings.schema) do
    local value = given[entry.name]
    if value == nil then value = entry.default end
    if value ~= nil then
      local good, wanted, part, part_value = kinds[entry.kind](value, entry)
      if good == nil then
        return nil, refusal(entry, value, wanted, part, part_value), entry.name
      end
      checked[entry.name] = good
    end
  end
  checked.socket = checked.socket or beside(checked.store)
  -- A handler that runs must not make the broker believe that we are gone
  -- (docs/design.md#heartbeats).
  if checked.handler_timeout * 2 > checked.heartbeat then
    return nil, ("handler_timeout (%d ms) must be at most half of heartbeat (%d ms)"):format(
      checked.handler_timeout, checked.heartbeat)
  end
  -- And the watchdog must end what no limit of a handler can end, not what one still could. Its
  -- default follows a long heartbeat, so that nobody must set both.
  if given.watchdog == nil then checked.watchdog = math.max(checked.watchdog, checked.heartbeat) end
  if checked.watchdog * 2 <= checked.heartbeat then
    return nil, ("watchdog (%d ms) must be more than half of heartbeat (%d ms)"):format(
      checked.watchdog, checked.heartbeat)
  end
  return checked
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

-- Settings read again by a router that started with `before`: `now` with the names of those
-- that differ and need a restart, as text in its `restart`; or nil and what is wrong.
function settings.again(now, before)
  if now.handler_timeout * 2 > before.heartbeat then
    return nil, ("herald.lua: handler_timeout (%d ms) must be at most half of the heartbeat in force "
      .. "(%d ms), which only a restart changes"):format(now.handler_timeout, before.heartbeat)
  end
  local names = {}
  local follows = now.socket == beside(now.store) and before.socket == beside(before.store)
  for _, entry in ipairs(settings.schema) do
    local told = entry.name == "socket" and follows -- with the store
    if not told and not entry.live and not same(now[entry.name], before[entry.name]) then
      names[#names + 1] = entry.name
    end
  end
  now.restart = table.concat(names, ", ")
  return now
end

-- Whether somebody who reads the memory of a process with these settings learns a secret.
function settings.hold_secrets(s)
  local admin = s.admin or {}
  return (s.password_file or s.tls.key or admin.token_file or admin.read_token_file) ~= nil
    or s.broker:find("@", 1, true) ~= nil
end

-- Where a setting comes from that stands above the file.
local options <const> = { store = "--store or HERALD_STORE", broker = "--broker or HERALD_BROKER",
                          log_level = "--log-level or HERALD_LOG_LEVEL",
                          log_format = "HERALD_LOG_FORMAT" }

local INSTRUCTIONS_MAX <const> = 1000000

-- Runs the chunk of a settings file: it sees nothing, not even the methods of strings, and
-- an endless loop ends. Returns as pcall.
local function evaluate(chunk)
  local strings = getmetatable("")
  local methods = strings.__index
  strings.__index = nil
  debug.sethook(function() error("it runs for ever", 2) end, "", INSTRUCTIONS_MAX)
  local ok, result = pcall(chunk)
  debug.sethook()
  strings.__index = methods
  return ok, result
end

-- Reads herald.lua in the current folder. `overrides` (store, broker, log_level) stand
-- above the file. Returns the settings, or nil and what is wrong.
function settings.load(folder, overrides)
  local file, problem = io.open("herald.lua", "rb")
  if not file then
    return nil, ("no router in %s: herald.lua cannot be read (%s). Give the folder with -C DIR; "
      .. "a minimal herald.lua is: return { broker = \"embedded\" }"):format(folder, problem)
  end
  local text = file:read("a")
  file:close()
  local chunk, wrong = load(text, "@herald.lua", "t", {})
  if not chunk then return nil, wrong end
  local ok, given = evaluate(chunk)
  if not ok then
    return nil, tostring(given) .. " (herald.lua is data only: no function can be called in it)"
  end
  if type(given) ~= "table" then
    return nil, "herald.lua must return a table of settings, but returned " .. type(given)
  end
  for key, value in pairs(overrides) do given[key] = value end
  local checked, why, name = settings.check(given)
  if not checked then
    return nil, (overrides[name or ""] and options[name] or "herald.lua") .. ": " .. why
  end
  return checked
end

return settings
