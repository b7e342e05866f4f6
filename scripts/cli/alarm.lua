-- alarm: whether a router does its work, in the form that monitoring plugins have: one line and an
-- exit code (Monitoring Plugins Development Guidelines, "Plugin Output for Nagios" and "Plugin
-- Return Codes").

local core = require "herald.core"
local folder = require "cli.folder"
local show = require "cli.show"
local waiting = require "cli.waiting"

local alarm = { OK = 0, WARNING = 1, CRITICAL = 2, UNKNOWN = 3 }

local words = { [0] = "OK", "WARNING", "CRITICAL", "UNKNOWN" }
local COUNT_MAX <const> = 1000000000

-- {late = milliseconds, dead = number}, or nil and what is wrong.
function alarm.limits(args)
  local late = core.duration(args.max_late or "1m")
  if not late then
    return nil, ("--max-late is %q, but must be a whole number with ms, s, m, h or d, such as 30s"):format(
      args.max_late)
  end
  local dead, why = folder.whole_number(args.max_dead or "0", "--max-dead", 0, COUNT_MAX)
  if not dead then return nil, why end
  return { late = late, dead = dead }
end

-- Appends to `found` what no message gets past.
local function judge_router(found, live)
  local function add(code, text, ...)
    found[#found + 1] = { code, text:format(...) }
  end
  local function is_said(text)
    return text and text ~= ""
  end
  if live.state == "paused" then add(alarm.CRITICAL, "paused: %s", live.paused_for) end
  if is_said(live.stopped_for) then add(alarm.CRITICAL, "nothing is consumed: %s", live.stopped_for) end
  if live.broker_state ~= "up" and live.broker_state ~= "embedded" then
    add(alarm.CRITICAL, "broker %s: %s", live.broker_state, live.broker_error)
  end
  if is_said(live.store_trouble) then
    add(alarm.WARNING, "the store's WAL cannot be emptied: %s", live.store_trouble)
  end
  for _, p in ipairs(live.paused) do
    add(alarm.CRITICAL, "queue %s is paused, every message fails: %s", p.queue, p.error)
  end
  for _, t in ipairs(live.troubles) do
    if not t.standby then add(alarm.WARNING, "%s %s: %s", t.what, t.name, t.why) end
  end
  if live.rules_error then add(alarm.WARNING, "the last reload was refused: %s", live.rules_error) end
  if live.rules_wait then add(alarm.WARNING, "not in force yet: %s", live.rules_wait) end
end

local function judge_store(found, counts, limits)
  local late = waiting.late_ms(counts)
  local queue, behind = waiting.late_queue(counts)
  if late > limits.late then
    found[#found + 1] = { alarm.CRITICAL, "outbox late for " .. show.age(late) }
  end
  if behind > limits.late then
    found[#found + 1] = { alarm.CRITICAL, ("retries of queue %s late for %s"):format(queue, show.age(behind)) }
  end
  for _, h in ipairs(counts.halts) do
    found[#found + 1] = { alarm.WARNING, ("%s is paused by hand since %s"):format(h.queue or "publish",
      show.second(h.since)) }
  end
  if counts.dead > limits.dead then
    found[#found + 1] = { alarm.WARNING, counts.dead .. " dead letters: herald dead groups" }
  end
end

-- The worst first.
local function sentence(found)
  local texts = {}
  table.sort(found, function(a, b)
    return a[1] > b[1] or (a[1] == b[1] and a[2] < b[2])
  end)
  for i, f in ipairs(found) do texts[i] = show.line(f[2], 200) end
  return table.concat(texts, "; ")
end

-- The line, and the exit code.
function alarm.judge(counts, live, limits)
  local found = {}
  if live.ready == nil then
    found[1] = { alarm.UNKNOWN, live.running and live.state or "no router runs on " .. counts.path }
  else
    judge_router(found, live)
  end
  judge_store(found, counts, limits)
  local code = alarm.OK
  for _, f in ipairs(found) do code = math.max(code, f[1]) end
  local text = #found > 0 and sentence(found)
    or ("%d pending, %d retries, %d dead"):format(counts.pending, counts.retries, counts.dead)
  text = text:gsub("|", "/") -- what follows one is figures
  return ("HERALD %s - %s | late=%.3fs;;%.3f pending=%d retries=%d dead=%d;%d"):format(words[code], text,
    waiting.late_ms(counts) / 1000, limits.late / 1000, counts.pending, counts.retries, counts.dead,
    limits.dead), code
end

-- The same of what could not be looked at.
function alarm.unknown(problem)
  return "HERALD UNKNOWN - " .. show.line(problem, 400):gsub("|", "/"), alarm.UNKNOWN
end

return alarm
