-- status: what is waiting, what failed, and how the router does.

local core = require "herald.core"
local folder = require "cli.folder"
local json = require "cli.json"
local live_router = require "cli.live"
local show = require "cli.show"

local status = {}

function status.add(parser, common)
  local command = parser:command("status", "What is waiting, what failed, and how the router does.")
  command:flag("--json", "Print JSON.")
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

-- What of the rules does not work on the broker, each with its reason.
local function trouble_list(live)
  local list = {}
  for i, t in ipairs(live.troubles) do
    list[i] = json.object { { "what", t.what }, { "name", t.name }, { "why", t.why } }
  end
  return list
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
      { "waiting", live.rules_wait or json.null },
      { "routes", live.routes }, { "subscriptions", live.subscriptions }, { "handlers", live.handlers },
      { "memory", live.script_memory },
    } },
    { "broker", json.object {
      { "state", live.broker_state }, { "error", live.broker_error }, { "ready", live.ready },
      { "in_flight", live.in_flight }, { "unacked", live.unacked },
      { "unacked_bytes", live.unacked_bytes },
      { "troubles", live.running and trouble_list(live) or nil },
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
  for _, pair in ipairs(live.counters) do
    if pair[2] ~= 0 then list[#list + 1] = { "  " .. pair[1], pair[2] } end
  end
  return show.pairs(list)
end

function status.run(args)
  local s, code, problem = folder.open_store(args)
  if not s then return code, problem end
  local counts, kind, why = core.counts(s.store)
  if not counts then return folder.exit_code(kind), why end
  local live = live_router.ask(s)
  io.stdout:write((args.json and status_json or status_text)(counts, live), "\n")
end

return status
