-- commands: what each command of the command line does.
--
-- Each takes the parsed words and returns an exit code and, when something is wrong,
-- a text for the user.

local core = require "herald.core"
local folder = require "cli.folder"
local json = require "cli.json"
local show = require "cli.show"

local commands = {}

local FAILED, USAGE <const> = folder.FAILED, folder.USAGE
local open, exit_code, whole_number = folder.open, folder.exit_code, folder.whole_number

-- Milliseconds since 1970 as ISO 8601 UTC.
local function iso8601(ms)
  return os.date("!%Y-%m-%dT%H:%M:%S", ms // 1000) .. (".%03dZ"):format(ms % 1000)
end

local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(bytes)
  local text = bytes:gsub("..?.?", function(group)
    local a, b, c = group:byte(1, 3)
    local bits = a << 16 | (b or 0) << 8 | (c or 0)
    local four = ""
    for shift = 18, 0, -6 do
      local at = (bits >> shift & 63) + 1
      four = four .. digits:sub(at, at)
    end
    return four:sub(1, #group + 1) .. ("="):rep(3 - #group)
  end)
  return text
end

local function out(text)
  io.stdout:write(text, "\n")
end

function commands.version(args)
  local v = { { "herald", core.version }, { "lua", _VERSION:match("%S+$") } }
  for name, number in pairs(core.libraries) do v[#v + 1] = { name, number } end
  table.sort(v, function(a, b) return a[1] < b[1] end)
  if args.json then
    out(json.encode(json.object(v)))
  else
    out(show.pairs(v))
  end
end

function commands.run_router(args)
  local s, code, problem = open(args)
  if not s then return code, problem end
  s.until_idle = args.until_idle or false
  s.folders = folder.parts(s)
  local done, kind, why = core.run(s)
  if not done then return exit_code(kind), why end
end

-- The text behind --body: JSON, @FILE, or - for standard input.
local function read_body(given)
  if given == nil then return nil end
  if given == "-" then return io.read("a") end
  if given:sub(1, 1) ~= "@" then return given end
  local file, why = io.open(given:sub(2), "rb")
  if not file then return nil, "--body: " .. why end
  local text = file:read("a")
  file:close()
  return text
end

function commands.emit(args)
  local count, bad = whole_number(args.count, "--count", 1, 10000000)
  if not count then return USAGE, bad end
  local body, unreadable = read_body(args.body) -- before open changes the folder
  if unreadable then return FAILED, unreadable end
  local s, code, problem = open(args)
  if not s then return code, problem end
  local ids, kind, why = core.emit(s.store, {
    type = args.type, key1 = args.key1, key2 = args.key2, key3 = args.key3, body = body, id = args.id,
  }, count)
  if not ids then return exit_code(kind), why end
  if args.json then
    out(json.encode(json.object { { "ids", ids } }))
  else
    for _, id in ipairs(ids) do out(id) end
  end
end

-- "1m 5s" is easier to read than 65000.
local function age(ms)
  local s = ms // 1000
  if s < 60 then return s .. " s" end
  if s < 3600 then return ("%d min %d s"):format(s // 60, s % 60) end
  return ("%d h %d min"):format(s // 3600, s % 3600 // 60)
end

local function status_json(counts, live)
  local counters = json.object {}
  for _, pair in ipairs(live.counters) do counters[#counters + 1] = { pair[1], pair[2] } end
  return json.encode(json.object {
    { "running", live.running },
    { "state", live.state },
    { "paused_for", live.paused_for },
    { "outbox", json.object { { "pending", counts.pending }, { "oldest_ms", counts.oldest_ms } } },
    { "retries", counts.retries },
    { "dead", counts.dead },
    { "rules", json.object {
      { "generation", live.generation or json.null }, { "hash", live.hash or json.null },
      { "error", json.null },
      { "routes", live.routes }, { "subscriptions", live.subscriptions }, { "handlers", live.handlers },
    } },
    { "broker", json.object {
      { "state", live.broker_state }, { "error", live.broker_error }, { "ready", live.ready },
      { "in_flight", live.in_flight }, { "unacked", live.unacked },
    } },
    { "store", json.object { { "path", counts.path }, { "wal_bytes", counts.wal_bytes } } },
    { "counters", #live.counters > 0 and counters or nil },
  })
end

local function status_text(counts, live)
  local list = {
    { "router", live.running and live.state or "not running" },
    { "outbox", counts.pending .. " pending"
      .. (counts.pending > 0 and ", the oldest for " .. age(counts.oldest_ms) or "") },
    { "retries", counts.retries .. " waiting" },
    { "dead", counts.dead .. (counts.dead > 0 and " letters: herald dead list" or " letters") },
    { "broker", live.broker_state .. (live.ready == false and ", not ready" or "") },
  }
  if live.broker_error and live.broker_error ~= "" then
    list[#list + 1] = { "", show.line(live.broker_error, 400) }
  end
  if live.paused_for and live.paused_for ~= "" then
    list[#list + 1] = { "paused", show.line(live.paused_for, 400) }
  end
  if live.generation then
    list[#list + 1] = { "rules", ("generation %d (%s): %d routes, %d subscriptions, %d handlers"):format(
      live.generation, live.hash, live.routes, live.subscriptions, live.handlers) }
  end
  list[#list + 1] = { "store", ("%s, WAL %d KiB"):format(counts.path, counts.wal_bytes // 1024) }
  for _, pair in ipairs(live.counters) do
    if pair[2] ~= 0 then list[#list + 1] = { "  " .. pair[1], pair[2] } end
  end
  return show.pairs(list)
end

-- What the running router says of itself, or that there is none.
local function ask_router(store)
  local pid = core.router_pid(store)
  local live = { running = pid ~= 0, state = "stopped", broker_state = "stopped", counters = {} }
  if pid == 0 then return live end
  local answer, why = core.ask("status")
  if not answer then
    live.state, live.broker_state = "running, but it does not answer: " .. why, "unknown"
    return live
  end
  for key, value in answer:gmatch("([%w_.]+)\t([^\n]*)\n") do
    local counter = key:match("^counter%.(.+)")
    local number = math.tointeger(tonumber(value))
    if counter then
      live.counters[#live.counters + 1] = { counter, number }
    elseif key == "ready" then
      live.ready = value == "true"
    elseif key == "hash" then
      live.hash = value
    else
      live[key] = number or value
    end
  end
  return live
end

function commands.status(args)
  local s, code, problem = open(args)
  if not s then return code, problem end
  local counts, kind, why = core.counts(s.store)
  if not counts then return exit_code(kind), why end
  local live = ask_router(s.store)
  out((args.json and status_json or status_text)(counts, live))
end

local function body_members(body)
  if body == nil then return { "body", json.null } end
  if utf8.len(body) then return { "body", body } end
  return { "body_base64", base64(body) }
end

local function letter_json(l)
  local members = json.object {
    { "id", l.id }, { "message_id", l.message_id or json.null }, { "type", l.type or json.null },
    { "order_type", l.key2 or json.null }, { "queue", l.queue or json.null }, { "side", l.side },
    { "attempts", l.attempts }, { "error", l.error }, { "at", iso8601(l.at) },
    { "business_key1", l.key1 or json.null }, { "business_key2", l.key2 or json.null },
    { "business_key3", l.key3 or json.null }, { "exchange", l.exchange },
    { "routing_key", l.routing_key }, { "generation", l.generation },
    { "headers", l.headers }, { "traceback", l.traceback },
  }
  members[#members + 1] = body_members(l.body)
  return members
end

local function dead_list(args, s)
  local limit, bad = whole_number(args.limit, "--limit", 1, 1000000)
  if not limit then return USAGE, bad end
  local after, wrong = whole_number(args.after, "--after", 0, math.maxinteger)
  if not after then return USAGE, wrong end
  local letters, kind, why = core.dead_list(s.store, after, limit)
  if not letters then return exit_code(kind), why end
  if args.json then
    for i, l in ipairs(letters) do letters[i] = letter_json(l) end
    out(json.encode(letters))
    return
  end
  if #letters == 0 then
    out("no dead letters")
    return
  end
  local rows = {}
  for i, l in ipairs(letters) do
    rows[i] = { tostring(l.id), iso8601(l.at):sub(1, 19) .. "Z", l.queue or l.side,
      show.line(l.type or "-", 40), show.line(l.key2 or "-", 20), tostring(l.attempts),
      show.line(l.error, 100) }
  end
  out(show.table({ "ID", "AT", "QUEUE", "TYPE", "ORDER", "TRIES", "ERROR" }, rows))
end

local function dead_show(args, s)
  local id, bad = whole_number(args.id, "ID", 1, math.maxinteger)
  if not id then return USAGE, bad end
  local l, kind, why = core.dead_get(s.store, id)
  if not l then return exit_code(kind), why end
  if args.json then
    out(json.encode(letter_json(l)))
    return
  end
  local body = l.body and (utf8.len(l.body) and l.body or
    "(not UTF-8, base64) " .. base64(l.body)) or "(none)"
  local members = {
    { "id", l.id }, { "at", iso8601(l.at) }, { "side", l.side }, { "queue", l.queue },
    { "message id", l.message_id }, { "type", l.type },
    { "business keys", table.concat({ l.key1 or "-", l.key2 or "-", l.key3 or "-" }, "  ") },
    { "exchange", l.exchange }, { "routing key", l.routing_key }, { "attempts", l.attempts },
    { "rules", l.generation == 0 and "the core" or "generation " .. l.generation },
    { "headers", l.headers }, { "body", body }, { "error", l.error },
  }
  -- What others wrote must not move the cursor of whoever reads it.
  for i, pair in ipairs(members) do members[i] = { pair[1], show.line(tostring(pair[2] or "-"), 2000) } end
  out(show.pairs(members))
  for line in (l.traceback or ""):gmatch("[^\n]+") do out(show.line(line, 2000)) end
end

function commands.dead(args)
  local s, code, problem = open(args)
  if not s then return code, problem end
  return (args.action == "list" and dead_list or dead_show)(args, s)
end

-- Runs the command that the words name.
function commands.run(args)
  local by_name = {
    run = commands.run_router, emit = commands.emit, status = commands.status,
    dead = commands.dead, version = commands.version,
  }
  return by_name[args.command](args)
end

return commands
