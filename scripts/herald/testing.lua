-- testing: `require "herald.testing"` in specs that `herald test` runs. Starts a router folder
-- with the real engine, the embedded broker, a store that nobody else sees, and a clock that
-- stands still until it is moved:
--
--   local testing = require "herald.testing"
--   local router = testing.start { sql = "insert into ...", now = "2026-01-01T00:00:00Z" }
--   router:deliver { type = "payresult_notify", business_key1 = "16", order_type = "60201" }
--   router:run()
--   assert.rows(router, "select status from xc_choose_course", { { status = "701001" } })
--
-- Nothing happens before router:run() or router:advance(). A router ends with the last
-- variable that holds it, or with router:stop(). The annotations name everything.

local compare = require "herald.testing.compare"
local core = require "herald.core"
local folder = require "cli.folder"
local settings = require "cli.settings"
local words = require "herald.testing.words"

local testing = { null = core.null } -- null: NULL in SQL and null in JSON

local router = {}
router.__index = router
router.__name = "herald.testing.router"

local START_KEYS <const> = { folder = true, rules = true, sql = true, sql_file = true, now = true,
  loopback = true }
local MESSAGE_KEYS <const> = { type = true, id = true, message_id = true, order_type = true,
  business_key1 = true, business_key2 = true, business_key3 = true, body = true, headers = true,
  properties = true, content_type = true, timestamp = true, content_encoding = true,
  correlation_id = true, reply_to = true, expiration = true, user_id = true, app_id = true,
  cluster_id = true, priority = true, delivery_mode = true }
local DELIVER_KEYS <const> = { queue = true, exchange = true, routing_key = true, times = true }

local delivery_keys = {}
for _, keys in ipairs { MESSAGE_KEYS, DELIVER_KEYS } do
  for key in pairs(keys) do delivery_keys[key] = true end
end

local NOW <const> = "2026-01-01T00:00:00Z" -- the same in every run

-- The router folder that a spec belongs to: the one above its spec/.
local function folder_of_spec()
  for level = 3, 30 do
    local info = debug.getinfo(level, "S")
    if not info then break end
    local path = ("/" .. info.source:gsub("^@", "")):match("^(.*)/spec/[^\n]*$")
    if path and info.source:sub(1, 1) == "@" then
      path = path:sub(2)
      return path == "" and "." or path
    end
  end
  return "."
end

local function below(path, name)
  return (path == "." or name:sub(1, 1) == "/") and name or path .. "/" .. name
end

-- Does the router of the current folder include that one? Then it has its lib/, too.
local function is_included(path)
  local above = path ~= "." and core.kind("herald.lua") == "file" and settings.load(".", {})
  for _, name in ipairs(above and above.include or {}) do
    if name == path then return true end
  end
  return false
end

-- Settings of a folder, and the folders that it consists of.
local function read_folder(path)
  local back = core.getcwd()
  local ok, why = core.chdir(path)
  if not ok then words.fail(("no router folder %s: %s"):format(path, why)) end
  local s, problem = settings.load(path, {})
  assert(core.chdir(back))
  if not s then words.fail(problem) end
  s.folders = folder.parts(s)
  if not s.include and is_included(path) then s.folders[1].namespace = path end
  for _, part in ipairs(s.folders) do
    part.path = part.path == "." and path or below(path, part.path)
  end
  return s
end

-- Routers that nobody holds any more have stores, which the collector knows nothing of.
local started, collect_at = setmetatable({}, { __mode = "k" }), 8

local function collect_some()
  local n = 0
  for _ in pairs(started) do n = n + 1 end
  if n < collect_at then return end
  collectgarbage()
  n = 0
  for _ in pairs(started) do n = n + 1 end
  collect_at = 2 * n + 8
end

function testing.start(options)
  options = options or {}
  words.check_keys("testing.start", options, START_KEYS)
  local path = options.folder or folder_of_spec()
  local s = read_folder(path)
  s.rules = type(options.rules) == "string" and { options.rules } or options.rules or {}
  s.loopback = options.loopback ~= false
  s.now = words.time(options.now or NOW)
  if not s.now then
    words.fail(('now is %q, but must be a time such as "2026-01-31T12:00:00Z"'):format(
      tostring(options.now)))
  end
  collect_some()
  local real, _, why = core.spec_router(s)
  if not real then words.fail(why) end
  local self = setmetatable({ core = real, folder = path, ids = {} }, router)
  started[self] = true
  if options.sql then self:sql(options.sql) end
  if options.sql_file then self:sql_file(options.sql_file) end
  return self
end

-- What the core says is said where the spec asked.
local function ask(self, method, ...)
  local results = table.pack(pcall(self.core[method], self.core, ...))
  if not results[1] then words.fail(results[2]) end
  return table.unpack(results, 2, results.n)
end

function router:stop() self.core:stop() end

-- SQL --------------------------------------------------------------------------------

-- Runs statements as another program would. Values are a list (?), or one table (:name).
-- Returns the rows of the last query, and the names of its columns.
function router:sql(text, ...) return ask(self, "sql", text, ...) end

-- The same from a file of the router folder.
function router:sql_file(name, ...)
  local file, why = io.open(below(self.folder, name), "rb")
  if not file then words.fail(why) end
  local text = file:read("a")
  file:close()
  return ask(self, "sql", text, ...)
end

-- The first row; nil: there is none.
function router:row(text, ...) return (ask(self, "sql", text, ...))[1] end

-- The first column of the first row.
function router:value(text, ...)
  local rows, columns = ask(self, "sql", text, ...)
  return rows[1] and rows[1][columns[1]]
end

-- Messages ---------------------------------------------------------------------------

-- Where a delivery goes that says nothing: the only subscription's queue, by the way that
-- real ones take.
local function usual_way(self)
  local all = ask(self, "subscriptions")
  if #all ~= 1 then
    local names = {}
    for i, subscription in ipairs(all) do names[i] = subscription.queue end
    words.fail(#all == 0 and "there is no subscription to deliver to"
      or "say which queue: there are " .. table.concat(names, ", "))
  end
  local from = all[1].from[1]
  if from and from.kind == "fanout" then return from.exchange, from.routing_key end
  return "", all[1].queue
end

local function deliver(self, given)
  words.check_keys("router:deliver", given, delivery_keys)
  local message = words.message(given)
  local exchange, key = given.exchange, given.routing_key or ""
  if given.queue then
    exchange, key = "", given.queue
  elseif not exchange then
    exchange, key = usual_way(self)
  end
  local number = #self.ids + 1
  if given.id == nil and given.message_id == nil then message.id = "test:" .. number end
  self.ids[number] = message.id or false
  for i, id in ipairs(self.ids) do -- the same id has the same default body
    if id and id == message.id then number = i break end
  end
  message.timestamp = message.timestamp or ask(self, "now") // 1000
  for _ = 1, given.times or 1 do ask(self, "deliver", exchange, key, message, number) end
  return message.id
end

-- Publishes a message as another service would; returns its id. Without a body it has the
-- one that herald gives to an outbox row.
function router:deliver(message) return deliver(self, message) end

-- A message that was kept in a file of the router folder: the keys of router:deliver, or
-- what `herald dead show --json` prints, or RabbitMQ's properties and payload. `changes`
-- are keys that differ.
function router:deliver_file(name, changes)
  local message, why = words.message_of_file(below(self.folder, name))
  if not message then words.fail(why) end
  for key, value in pairs(changes or {}) do message[key] = value end
  return deliver(self, message)
end

-- Adds an outbox row as the business would; returns its id.
function router:emit(message)
  words.check_keys("router:emit", message, MESSAGE_KEYS)
  return ask(self, "emit", words.message(message, true))
end

-- Has something happen to the router itself: a type such as "herald.paused", and its body.
function router:raise(type, body)
  local message = { type = type, business_key1 = body and body.queue, body = body or {} }
  ask(self, "raise", words.message(message, true))
  return self
end

-- Time -------------------------------------------------------------------------------

-- Runs until nothing is left to do now.
function router:run()
  ask(self, "run")
  return self
end

-- Runs, lets time pass, and runs whatever becomes due on the way, when it is due.
function router:advance(time)
  local ms = words.duration(time)
  if not ms then words.fail(('%q is no duration such as "1m", and no seconds'):format(tostring(time))) end
  ask(self, "advance", ms)
  return self
end

-- Milliseconds since 1970 UTC.
function router:now() return ask(self, "now") end

-- Faults -----------------------------------------------------------------------------

-- The process dies in the next turn that has deliveries, "before commit" or "after commit"
-- (and before the acks), and starts again on the same store.
function router:crash(when)
  if when ~= "before commit" and when ~= "after commit" then
    error(('router:crash takes "before commit" or "after commit", not %s'):format(
      type(when) == "string" and ("%q"):format(when) or tostring(when)), 2)
  end
  ask(self, "crash", when)
  return self
end

-- The acks of the next turn that has deliveries are lost: they come twice.
function router:duplicate_next()
  ask(self, "duplicate")
  return self
end

-- What the broker says to the next publish of this type.
function router:nack_next(type) ask(self, "fail", type, "nack") return self end
function router:return_next(type) ask(self, "fail", type, "return") return self end
function router:time_out_next(type) ask(self, "fail", type, "time out") return self end

-- What there is to see ---------------------------------------------------------------

local COLUMNS <const> = "type, business_key1, business_key2, business_key2 as order_type, "
  .. "business_key3, body, headers, properties, attempts"

function router:outbox()
  return (ask(self, "sql", "select id, message_id, due_at, reason, key, " .. COLUMNS
    .. " from herald_outbox order by id"))
end

function router:retries()
  return (ask(self, "sql", "select id, queue, identity as message_id, due_at, error, " .. COLUMNS
    .. " from herald_retry order by id"))
end

function router:dead()
  return (ask(self, "sql", "select id, side, queue, identity as message_id, at, error, traceback, "
    .. COLUMNS .. " from herald_dead order by id"))
end

-- Those that a row sets; none where they are no JSON object.
local function properties_of(message)
  local ok, found = pcall(core.json_decode, message.properties or "{}", "properties")
  return ok and type(found) == "table" and found or {}
end

-- What the broker was given, each time it was.
function router:published()
  local list = ask(self, "published")
  for _, message in ipairs(list) do
    message.order_type = message.business_key2
    for name, value in pairs(properties_of(message)) do message[name] = value end
  end
  return list
end

local any_key = setmetatable({}, { __index = function() return true end }) -- lines have any

-- The lines of the log, each a table; or those that fit. A text is a handler's own words.
function router:log(wanted)
  if type(wanted) == "string" then wanted = { text = wanted } end
  local lines = {}
  for line in ask(self, "log"):gmatch("[^\n]+") do
    -- "at" is the time of a line
    local entry = core.json_decode(line:gsub('^{"at":', '{"time":', 1), "log line")
    if not wanted or compare.any("router:log", { entry }, wanted, any_key) then
      lines[#lines + 1] = entry
    end
  end
  return lines
end

-- What was counted since the router started.
function router:counters() return ask(self, "counters") end

-- Matchers ---------------------------------------------------------------------------

local function set(text)
  local names = {}
  for name in text:gmatch("[%w_]+") do names[name] = true end
  return names
end

local SHARED <const> = " type business_key1 business_key2 business_key3 order_type body headers properties message_id "

-- Asks whether something of a list has the wanted fields.
local function among(what, list, more)
  local known = set(SHARED .. more)
  return function(self, wanted)
    local rows = list(self)
    return compare.any(what, rows, wanted, known), { wanted }, rows
  end
end

-- assert.X(router, ...): its words, and a function that returns the answer and both sides.
local MATCHERS <const> = {
  published = { "a publish with", among("assert.published", router.published, "kind exchange routing_key content_type " .. table.concat(words.PROPERTIES, " ")) },
  outbox = { "an outbox row with", among("assert.outbox", router.outbox, "id due_at reason key attempts") },
  retry = { "a retry with", among("assert.retry", router.retries, "id queue due_at error attempts") },
  dead = { "a dead letter with",
    among("assert.dead", router.dead, "id side queue at error traceback attempts") },
  logged = { "a log line with", function(self, wanted)
    return #self:log(wanted) > 0, { wanted }, self:log()
  end },
  rows = { "the rows", function(self, text, ...)
    local values = table.pack(...)
    local wanted = values[values.n]
    local rows, columns = self:sql(text, table.unpack(values, 1, values.n - 1))
    return compare.same(rows, columns, wanted), wanted, rows
  end },
}

local function add_matchers()
  local luassert, say = require "luassert", require "say"
  for name, matcher in pairs(MATCHERS) do
    local key = "assertion.herald." .. name
    say:set(key .. ".positive", ("Expected %s\n%%s\nbut there was\n%%s"):format(matcher[1]))
    say:set(key .. ".negative", ("Expected nothing such as %s\n%%s\nbut there was\n%%s"):format(matcher[1]))
    luassert:register("assertion", name, function(_, arguments)
      if getmetatable(arguments[1]) ~= router then
        words.fail(("assert.%s takes a router of testing.start first"):format(name))
      end
      local answer, wanted, found = matcher[2](table.unpack(arguments, 1, arguments.n))
      arguments[1], arguments[2], arguments.n = compare.show(wanted), compare.show(found), 2
      arguments.nofmt = { true, true }
      return answer
    end, key .. ".positive", key .. ".negative")
  end
end

add_matchers()

return testing
