-- status: what is waiting, what failed, and how the router does.

local core = require "herald.core"
local alarm = require "cli.alarm"
local folder = require "cli.folder"
local json = require "cli.json"
local live_router = require "cli.live"
local pause = require "cli.pause"
local show = require "cli.show"
local waiting = require "cli.waiting"
local watch = require "cli.watch"

local status = {}

local WATCH_SECONDS <const> = "2"
local WATCH_MOST <const> = 3600

function status.add(parser, common)
  local command = parser:command("status", "What is waiting, what failed, and how the router does.")
  command:flag("--json", "Print JSON.")
  command:flag("--check", "Print one line for a monitor, and end with 0 (well), 1 (warning), 2 "
    .. "(critical) or 3 (unknown: no router, or nothing to look at).")
  command:option("--max-late", "With --check: for how long a message may be late that could have "
    .. "gone (1m)."):argname("TIME")
  command:option("--max-dead", "With --check: how many dead letters there may be (0).")
    :argname("N")
  command:option("--watch", "Draw it again every so many seconds (2), until Ctrl-C."):args("?")
    :argname("SECONDS")
  common(command)
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

-- What an operator has paused.
local function halt_list(counts)
  local list = {}
  for i, h in ipairs(counts.halts) do list[i] = pause.halt_json(h) end
  return list
end

-- What of the rules does not work on the broker, each with its reason.
local function trouble_list(live)
  local list = {}
  for i, t in ipairs(live.troubles) do
    list[i] = json.object { { "what", t.what }, { "name", t.name }, { "why", t.why },
      { "standby", t.standby } }
  end
  return list
end

-- How connections to the broker are protected, and until when; nil: they are not.
local function tls_json(live)
  if not live.tls then return nil end
  local function time(ms) return ms and ms > 0 and show.time(ms) or json.null end
  return json.object { { "version", live.tls }, { "certificate_ends", time(live.certificate_ends) },
    { "peer_certificate_ends", time(live.peer_certificate_ends) } }
end

local function tls_text(live)
  local parts = { live.tls }
  for _, pair in ipairs { { "our certificate", live.certificate_ends },
    { "the broker's", live.peer_certificate_ends } } do
    if pair[2] and pair[2] > 0 then
      parts[#parts + 1] = ("%s ends at %s"):format(pair[1], show.second(pair[2]))
    end
  end
  return table.concat(parts, ", ")
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
    { "paused_by_hand", halt_list(counts) },
    { "outbox", waiting.outbox_json(counts, live) },
    { "retries", counts.retries },
    { "retry_queues", waiting.retries_json(counts) },
    { "dead", counts.dead },
    { "rules", json.object {
      { "generation", live.generation or json.null }, { "hash", live.hash or json.null },
      { "error", live.rules_error or json.null },
      { "waiting", live.rules_wait or json.null },
      { "routes", live.routes }, { "subscriptions", live.subscriptions }, { "handlers", live.handlers },
      { "memory", live.script_memory },
    } },
    { "broker", json.object {
      { "state", live.broker_state }, { "error", live.broker_error }, { "ready", live.ready },
      { "in_flight", live.in_flight }, { "unacked", live.unacked },
      { "unacked_bytes", live.unacked_bytes }, { "tls", tls_json(live) },
      { "troubles", live.running and trouble_list(live) or nil },
    } },
    { "store", json.object { { "path", counts.path }, { "wal_bytes", counts.wal_bytes },
      { "trouble", live.store_trouble } } },
    { "counters", #live.counters > 0 and counters or nil },
  })
end

local function append(list, more)
  table.move(more, 1, #more, #list + 1, list)
end

-- The counters of a router, or `rates` instead of them.
local function status_text(counts, live, rates)
  local list = { { "router", live.running and live.state or "not running" } }
  append(list, waiting.outbox_pairs(counts, live))
  append(list, waiting.retries_pairs(counts))
  list[#list + 1] = { "dead", counts.dead .. (counts.dead > 0 and " letters: herald dead groups" or " letters") }
  list[#list + 1] = { "broker", live.broker_state .. (live.ready == false and ", not ready" or "") }
  if live.tls then list[#list + 1] = { "", tls_text(live) } end
  if live.broker_error and live.broker_error ~= "" then
    list[#list + 1] = { "", show.line(live.broker_error, 400) }
  end
  for _, t in ipairs(live.troubles) do
    if t.why ~= live.broker_error then
      list[#list + 1] = { "", ("%s %s: %s"):format(t.what, show.line(t.name, 100),
        show.line(t.why, 400)) }
    end
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
  for _, h in ipairs(counts.halts) do
    list[#list + 1] = { "paused", ("%s by hand since %s: herald resume %s"):format(
      show.line(pause.name(h), 255), show.second(h.since), show.line(pause.name(h), 255)) }
  end
  if live.generation then
    list[#list + 1] = { "rules", ("generation %d (%s): %d routes, %d subscriptions, "
      .. "%d handlers, %d KiB of memory"):format(live.generation, live.hash, live.routes,
      live.subscriptions, live.handlers, live.script_memory // 1024) }
  end
  if live.rules_error then
    list[#list + 1] = { "", "the last reload was refused: " .. show.line(live.rules_error, 400) }
  end
  if live.rules_wait then
    list[#list + 1] = { "", "not in force yet: " .. show.line(live.rules_wait, 400)
      .. "; `herald reload` takes what lies on the disk at once" }
  end
  list[#list + 1] = { "store", ("%s, WAL %d KiB"):format(counts.path, counts.wal_bytes // 1024) }
  if live.store_trouble and live.store_trouble ~= "" then
    list[#list + 1] = { "", "its WAL cannot be emptied: " .. show.line(live.store_trouble, 400) }
  end
  append(list, rates or {})
  for _, pair in ipairs(rates and {} or live.counters) do
    if pair[2] ~= 0 then list[#list + 1] = { "  " .. pair[1], pair[2] } end
  end
  return show.pairs(list)
end

-- What the store has and what its router says, or nil, code, problem.
local function look(args)
  local s, code, problem = folder.open_store(args)
  if not s then return nil, code, problem end
  local live = live_router.ask(s)
  local counts, kind, why = core.counts(s.store, live.cursor)
  if counts then counts.halts, kind, why = core.halts(s.store) end
  if not counts or not counts.halts then return nil, folder.exit_code(kind), why end
  return counts, live
end

local function check(args)
  local limits, bad = alarm.limits(args)
  local counts, live, problem
  if limits then counts, live, problem = look(args) end
  local line, code
  if counts then
    line, code = alarm.judge(counts, live, limits)
  else
    line, code = alarm.unknown(bad or problem)
  end
  io.stdout:write(line, "\n")
  return code
end

local function watch_status(args)
  local seconds, bad = folder.whole_number(args.watch[1] or WATCH_SECONDS, "--watch", 1, WATCH_MOST)
  if not seconds then return folder.USAGE, bad end
  if args.json or not core.stdout_is_terminal() then
    return folder.USAGE, "--watch draws on a terminal: for a program, ask `herald status --json` again and again"
  end
  local seen = {}
  io.stdout:write "\27[2J"
  while true do
    local counts, live, problem = look(args)
    if not counts then return live, problem end
    watch.note(seen, live.counters, core.now())
    io.stdout:write(watch.frame(status_text(counts, live, watch.rates(seen))))
    io.stdout:flush()
    core.sleep(seconds * 1000)
  end
end

function status.run(args)
  if args.check then return check(args) end
  if args.watch then return watch_status(args) end
  if args.max_late or args.max_dead then
    return folder.USAGE, "--max-late and --max-dead belong to --check"
  end
  local counts, live, problem = look(args)
  if not counts then return live, problem end
  io.stdout:write((args.json and status_json or status_text)(counts, live), "\n")
end

return status
