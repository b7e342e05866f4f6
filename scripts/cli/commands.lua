-- commands: what each command of the command line does.
--
-- Each takes the parsed words and returns an exit code and, when something is wrong,
-- a text for the user.

local core = require "herald.core"
local due = require "cli.due"
local folder = require "cli.folder"
local json = require "cli.json"
local read_body = require "cli.body"
local settings = require "cli.settings"
local show = require "cli.show"

local commands = {}

local FAILED, USAGE <const> = folder.FAILED, folder.USAGE
local open, exit_code, whole_number = folder.open, folder.exit_code, folder.whole_number

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
  s.reread = function()
    local now, why = folder.settings(args)
    if not now then return nil, why end
    return settings.again(now, s)
  end
  s.folders = folder.parts(s)
  local done, kind, why = core.run(s)
  if not done then return exit_code(kind), why end
end

function commands.emit(args)
  local count, bad = whole_number(args.count, "--count", 1, 10000000)
  if not count then return USAGE, bad end
  local row = { type = args.type, key1 = args.key1, key2 = args.key2, key3 = args.key3, id = args.id }
  bad = due.read(args, row)
  if not bad and row.key and count > 1 then
    bad = "--key with --count " .. count .. ": each row would replace the one before"
  end
  if bad then return USAGE, bad end
  local body, unreadable = read_body(args.body) -- before open changes the folder
  if unreadable then return FAILED, unreadable end
  local s, code, problem = open(args)
  if not s then return code, problem end
  row.body = body
  local ids, kind, why = core.emit(s.store, row, count)
  if not ids then return exit_code(kind), why end
  if args.json then
    out(json.encode(json.object { { "ids", ids } }))
  else
    for _, id in ipairs(ids) do out(id) end
  end
end

-- Subscriptions on which every message fails alike.
local function paused_list(live)
  local list = {}
  for i, p in ipairs(live.paused) do
    list[i] = json.object { { "queue", p.queue }, { "since", show.time(p.since) },
      { "next_probe", show.time(p.next_probe) }, { "failures", p.failures }, { "error", p.error } }
  end
  return list
end

-- "paused" in the router's answer: see put_paused in core/face/router.c.
local function read_paused(value)
  local failures, since, next_probe, queue, error_text =
    value:match("^(%d+)\t(%d+)\t(%d+)\t([^\t]*)\t(.*)$")
  return { failures = math.tointeger(tonumber(failures)), since = math.tointeger(tonumber(since)),
    next_probe = math.tointeger(tonumber(next_probe)), queue = queue, error = error_text }
end

local function status_json(counts, live)
  local counters = json.object {}
  for _, pair in ipairs(live.counters) do counters[#counters + 1] = { pair[1], pair[2] } end
  return json.encode(json.object {
    { "running", live.running },
    { "state", live.state },
    { "paused_for", live.paused_for },
    { "stopped_for", live.stopped_for },
    { "paused", live.running and paused_list(live) or nil },
    { "outbox", json.object { { "pending", counts.pending }, { "oldest_ms", counts.oldest_ms } } },
    { "retries", counts.retries },
    { "dead", counts.dead },
    { "rules", json.object {
      { "generation", live.generation or json.null }, { "hash", live.hash or json.null },
      { "error", live.rules_error or json.null },
      { "routes", live.routes }, { "subscriptions", live.subscriptions }, { "handlers", live.handlers },
      { "memory", live.script_memory },
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
      .. (counts.pending > 0 and ", the oldest for " .. show.age(counts.oldest_ms) or "") },
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
  if live.stopped_for and live.stopped_for ~= "" then
    list[#list + 1] = { "stopped", "nothing is consumed, the broker keeps it: "
      .. show.line(live.stopped_for, 400) }
  end
  for _, p in ipairs(live.paused) do
    list[#list + 1] = { "paused", ("queue %s since %s, %d failed alike, tries one at %s: %s"):format(
      show.line(p.queue, 100), show.second(p.since), p.failures, show.second(p.next_probe),
      show.line(p.error, 400)) }
  end
  if live.generation then
    list[#list + 1] = { "rules", ("generation %d (%s): %d routes, %d subscriptions, "
      .. "%d handlers, %d KiB of memory"):format(live.generation, live.hash, live.routes,
      live.subscriptions, live.handlers, live.script_memory // 1024) }
  end
  if live.rules_error then
    list[#list + 1] = { "", "the last reload was refused: " .. show.line(live.rules_error, 400) }
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
  local live = { running = pid ~= 0, state = "stopped", broker_state = "stopped", counters = {},
    paused = {} }
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
    elseif key == "paused" then
      live.paused[#live.paused + 1] = read_paused(value)
    elseif key == "ready" then
      live.ready = value == "true"
    elseif key == "hash" then
      live.hash = value
    elseif key == "rules_error" then
      if value ~= "" then live.rules_error = value end
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

-- Runs the command that the words name.
function commands.run(args)
  local by_name = {
    run = commands.run_router, emit = commands.emit, status = commands.status,
    version = commands.version,
  }
  return by_name[args.command](args)
end

return commands
