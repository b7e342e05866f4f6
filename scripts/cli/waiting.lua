-- waiting: what lies in the store, told apart by why it waits, and for how long it is late.

local json = require "cli.json"
local show = require "cli.show"

local waiting = {}

local MOST <const> = 10000 -- retries of a kind that are counted (core/store/waiting.h)

-- What is late is what could have gone; the others are in good order, or wait for one that is late.
local classes = {
  { "fresh", "to be sent", late = true },
  { "in_flight", "in flight" },
  { "due", "due", late = true },
  { "refused", "refused", late = true },
  { "unheard", "no word", late = true },
  { "outlet", "no room", late = true },
  { "behind", "behind" },
  { "scheduled", "scheduled" },
}

local function late_ms(counts, since)
  return since > 0 and math.max(counts.now - since, 0) or 0
end

-- Rows of a class; only the router knows what is in flight.
local function rows_of(counts, live, name)
  if name ~= "in_flight" then return counts.waiting.outbox[name] end
  return { n = live.in_flight or 0, more = false, since = 0, next = 0, attempts = 0 }
end

-- For how long the first of the outbox is late, in milliseconds.
function waiting.late_ms(counts)
  local most = 0
  for _, class in ipairs(classes) do
    local rows = class.late and counts.waiting.outbox[class[1]]
    if rows then most = math.max(most, late_ms(counts, rows.since)) end
  end
  return most
end

-- The queue of which the first retry is late for longest, and for how long.
function waiting.late_queue(counts)
  local queue, most = nil, 0
  for _, q in ipairs(counts.waiting.retries) do
    local ms = late_ms(counts, q.since)
    if ms > most then queue, most = q.queue, ms end
  end
  return queue, most
end

local function number(n, more)
  return more and n .. " or more" or tostring(n)
end

local function when(ms)
  return ms > 0 and show.time(ms) or json.null
end

function waiting.outbox_json(counts, live)
  local members = json.object {
    { "pending", counts.pending }, { "oldest_ms", counts.oldest_ms },
    { "late_ms", waiting.late_ms(counts) },
  }
  for _, class in ipairs(classes) do
    local rows = rows_of(counts, live, class[1])
    members[#members + 1] = { class[1], json.object {
      { "rows", rows.n }, { "more", rows.more }, { "late_ms", class.late and late_ms(counts, rows.since) or 0 },
      { "next_due", when(rows.next) }, { "attempts", rows.attempts },
    } }
  end
  return members
end

function waiting.retries_json(counts)
  local list = {}
  for i, q in ipairs(counts.waiting.retries) do
    list[i] = json.object {
      { "queue", q.queue }, { "due", q.due }, { "later", q.later }, { "behind", q.behind },
      { "late_ms", late_ms(counts, q.since) }, { "next_due", when(q.next) },
      { "attempts", q.attempts }, { "error", q.error },
    }
  end
  return list
end

local notes = {
  fresh = function(_, age) return age and "the first for " .. age end,
  due = function(_, age) return age and "the first for " .. age end,
  refused = function(rows, age)
    return ("tried %d times%s: herald outbox list"):format(rows.attempts, age and ", since " .. age or "")
  end,
  unheard = function(_, age) return age and "sent, and no word of the broker for " .. age end,
  outlet = function(_, age) return age and "their exchange or queue takes no more, the first for " .. age end,
  behind = function() return "an earlier one of the lane goes first: herald lanes" end,
  scheduled = function(rows) return "in good order, the next at " .. show.second(rows.next) end,
}

local function class_line(counts, live, class)
  local rows = rows_of(counts, live, class[1])
  if rows.n == 0 then return nil end
  local ms = class.late and late_ms(counts, rows.since) or 0
  local note = notes[class[1]] and notes[class[1]](rows, ms > 0 and show.age(ms) or nil)
  return ("%s %s%s"):format(number(rows.n, rows.more), class[2], note and ", " .. note or "")
end

-- A pair for each class that has rows.
function waiting.outbox_pairs(counts, live)
  local list = { { "outbox", counts.pending == 0 and "empty" or counts.pending .. " pending" } }
  for _, class in ipairs(classes) do
    local line = class_line(counts, live, class)
    if line then list[#list + 1] = { "", line } end
  end
  return list
end

local function queue_line(counts, q)
  local parts = {}
  if q.due > 0 then
    parts[1] = ("%s due for %s"):format(number(q.due, q.due >= MOST), show.age(late_ms(counts, q.since)))
  end
  if q.later > 0 then
    parts[#parts + 1] = ("%s later, the next at %s"):format(number(q.later, q.later >= MOST), show.second(q.next))
  end
  if q.behind > 0 then parts[#parts + 1] = number(q.behind, q.behind >= MOST) .. " behind" end
  local error = q.error ~= "" and ": " .. show.line(q.error, 200) or ""
  return ("queue %s: %s%s"):format(show.line(q.queue, 100), table.concat(parts, ", "), error)
end

-- A pair for each queue that has some.
function waiting.retries_pairs(counts)
  local list = { { "retries", counts.retries == 0 and "none" or counts.retries .. " waiting" } }
  for _, q in ipairs(counts.waiting.retries) do list[#list + 1] = { "", queue_line(counts, q) } end
  return list
end

return waiting
