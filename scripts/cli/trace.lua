-- trace: what became of one message, or of all that have a business key: where it is, and what
-- happened to it on the way, as far as the store still knows.

local core = require "herald.core"
local folder = require "cli.folder"
local json = require "cli.json"
local live = require "cli.live"
local rows = require "cli.rows"
local show = require "cli.show"
local whole = require "cli.whole"

local trace = {}

local MOST <const> = 200 -- rows of each kind

function trace.add(parser, common)
  local command = parser:command("trace", "What became of a message, or of all with a business key.")
  command:argument("id", "Its message id."):args("?"):argname("ID")
  rows.kinds(command, {})
  rows.times(command)
  command:flag("--json", "Print JSON.")
  common(command)
end

-- What is looked for, or nil and what is wrong.
local function read_pick(args)
  local pick, bad = rows.pick { type = args.type, key1 = args.key1, order_type = args.order_type,
    key3 = args.key3, message_id = args.id or args.message_id, since = args.since, before = args.before }
  if not pick then return nil, bad end
  if args.id and args.message_id then return nil, "ID and --message-id are the same" end
  if not (pick.message_id or pick.key1 or pick.order_type or pick.key3) then
    return nil, "which message? Give its ID, or a key such as --key1 16"
  end
  pick.limit, pick.after = MOST, 0
  return pick
end

-- Where a message can be: the word for it, what lists it, and what has all of one.
local places = {
  { "outbox", "outbox_list", "outbox_get" }, { "retries", "retries_list", "retries_get" },
  { "dead", "dead_list", "dead_get" }, { "history", "history_list" },
}

-- Puts what a place has to what was found; `wanted` says which, and notes what it needs.
local function add_rows(store, found, place, list, wanted)
  for _, row in ipairs(list) do
    local key = place[1] .. " " .. row.id
    local whole_row = not found.known[key] and (place[3] and core[place[3]](store, row.id) or row)
    if whole_row and (not wanted or wanted(whole_row)) then
      found.known[key] = true
      table.insert(found[place[1]], whole_row)
      if row.message_id then found.ids[row.message_id] = found.ids[row.message_id] or false end
    end
  end
end

-- What the inbox knows of the ids that were found since the last time; or nil, kind, why.
local function look_into_inbox(store, found)
  for id, looked in pairs(found.ids) do
    local known, kind, why = {}, nil, nil
    if not looked then known, kind, why = core.inbox_list(store, { message_id = id }) end
    if not known then return nil, kind, why end
    table.move(known, 1, #known, #found.inbox + 1, found.inbox)
    found.ids[id] = true
  end
  return true
end

-- What each place has, by its word, and the inbox of every id that was found; or nil, kind, why.
local function look(store, pick)
  local found = { inbox = {}, known = {}, ids = {}, outbox = {}, retries = {}, dead = {}, history = {} }
  if pick.message_id then found.ids[pick.message_id] = false end
  for _, place in ipairs(places) do
    local list, kind, why = core[place[2]](store, pick)
    if not list then return nil, kind, why end
    add_rows(store, found, place, list)
  end
  local good, kind, why = look_into_inbox(store, found)
  if not good then return nil, kind, why end
  return found
end

-- The messages that came to a queue: { queue, id, headers, at }.
local function handled(found)
  local list = {}
  for _, place in ipairs { "history", "dead", "retries", "inbox" } do
    for _, row in ipairs(found[place]) do
      if row.queue and row.message_id then list[#list + 1] = row end
    end
  end
  return list
end

-- Whose handler a row comes from, by the trace that it belongs to: the span of a try sent it.
local function parent_of(row, spans)
  local span = row.headers and row.headers:match '"traceparent"%s*:%s*"%x%x%-%x+%-(%x+)%-'
  return span and spans[span]
end

local TRACES_MOST <const> = 10

-- Adds what the handlers of what was found have emitted, with its state; or nil, kind, why.
local function look_for_children(store, found)
  local spans, traces, n = {}, {}, 0
  for _, row in ipairs(handled(found)) do
    local id, list, why = core.trace_spans(store, row.queue, row.message_id, row.headers)
    if not id then return nil, list, why end
    for _, span in ipairs(list) do spans[span] = spans[span] or row.message_id end
    if not traces[id] then traces[id], n = true, n + 1 end
    if n == TRACES_MOST then break end
  end
  for id in pairs(traces) do
    for _, place in ipairs(places) do
      local list, kind, why = core[place[2]](store, { header = id, limit = MOST, after = 0 })
      if not list then return nil, kind, why end
      add_rows(store, found, place, list, function(row)
        row.parent = parent_of(row, spans)
        return row.parent
      end)
    end
  end
  return look_into_inbox(store, found)
end

local function place_of(row)
  if row.exchange and row.exchange ~= "" then return " to exchange " .. row.exchange end
  return row.routing_key and row.routing_key ~= "" and " to queue " .. row.routing_key or ""
end

local function queue_of(row)
  return row.queue and "queue " .. row.queue or row.side
end

local function attempts(n)
  return n == 1 and "1 attempt" or n .. " attempts"
end

-- What the outbox says of a row that is there still.
local function outbox_state(row, cursor)
  if row.state == "waiting" then return "waits for room at " .. (row.outlet or "its outlet") end
  if row.state == "behind" then return "waits behind an earlier one of lane " .. row.lane end
  if row.due_at > 0 then return ("waits until %s"):format(show.time(row.due_at)) end
  return row.id <= cursor and "in flight: the broker has not confirmed it yet" or "to be sent"
end

local function failed(try)
  return ("attempt %d failed%s under %s: %s"):format(try.attempt,
    try.took_ms and (" after %d ms"):format(try.took_ms) or "", whole.rules(try.generation), try.error or "")
end

local told = {
  outbox = function(add, row, cursor)
    add(row.created_at, row, "outbox", ("written to the outbox as row %d%s"):format(row.id, place_of(row)))
    if row.reason then
      add(row.created_at, row, "outbox", ("refused, %s: %s"):format(attempts(row.attempts), row.reason))
    end
    add(nil, row, "outbox", outbox_state(row, cursor))
  end,
  retries = function(add, row)
    for _, try in ipairs(row.tries or {}) do
      add(try.at, row, queue_of(row), failed(try))
    end
    add(nil, row, queue_of(row), row.behind and "waits behind an earlier one of lane " .. (row.lane or "")
      or ("is tried again at %s, after %s"):format(show.time(row.due_at), attempts(row.attempts)))
  end,
  dead = function(add, row)
    for _, try in ipairs(row.tries or {}) do
      add(try.at, row, queue_of(row), failed(try))
    end
    add(row.at, row, queue_of(row), ("became dead letter %d after %s: %s"):format(row.id,
      attempts(row.attempts), row.error))
    add(nil, row, queue_of(row), ("lies among the dead letters: herald dead show %d"):format(row.id))
  end,
  history = function(add, row)
    if row.side == "outbox" and row.timestamp and row.timestamp > 0 then
      add(row.timestamp * 1000, row, "outbox", "was committed, or, where that was late, first sent, in this second")
    end
    add(row.at, row, queue_of(row), ("%s under %s, %s%s"):format(row.outcome,
      whole.rules(row.generation), attempts(row.attempts), row.side == "outbox" and place_of(row) or ""))
  end,
}

-- Steps in order of their time; what is so now comes last.
local function steps_of(found, cursor)
  local steps = {}
  for _, place in ipairs(places) do
    for _, row in ipairs(found[place[1]]) do
      told[place[1]](function(at, of, where, what)
        steps[#steps + 1] = { n = #steps, at = at, id = of.message_id, type = of.type, where = where,
          what = of.parent and ("emitted by %s: %s"):format(of.parent, what) or what, parent = of.parent }
      end, row, cursor)
    end
  end
  for _, row in ipairs(found.inbox) do
    if row.state == "done" then
      steps[#steps + 1] = { n = #steps, at = row.at, id = row.message_id, where = queue_of(row),
        what = "is done here: a repeat changes nothing" }
    end
  end
  table.sort(steps, function(a, b)
    local x, y = a.at or math.huge, b.at or math.huge
    return x < y or (x == y and a.n < b.n)
  end)
  return steps
end

local function has_trace(found)
  for _, place in ipairs(places) do
    for _, row in ipairs(found[place[1]]) do
      if row.parent or row.headers and row.headers:find("traceparent", 1, true) then return true end
    end
  end
  return false
end

-- What nobody can know from here.
local function gaps(s, found)
  local list = {}
  if not (s.history and s.history > 0) then
    list[1] = 'no history: herald.lua has no history = "30d", so what was confirmed or handled left no copy'
  end
  if s.trace_context ~= "make" and #handled(found) > 0 and not has_trace(found) then
    list[#list + 1] = 'no trace: what handlers emitted is told of messages that belong to one; '
      .. 'trace_context = "make" gives one to each'
  end
  for _, place in ipairs(places) do
    if #found[place[1]] >= MOST then
      list[#list + 1] = ("%s: the first %d only"):format(place[1], MOST)
    end
  end
  return list
end

local function step_json(step)
  return json.object {
    { "at", step.at and show.time(step.at) or json.null }, { "message_id", step.id or json.null },
    { "type", step.type or json.null }, { "where", step.where }, { "what", step.what },
    step.parent and { "emitted_by", step.parent } or nil,
  }
end

local function print_steps(steps)
  local cells = {}
  for i, step in ipairs(steps) do
    cells[i] = { step.at and show.time(step.at) or "now", rows.cell(step.where, 60), rows.cell(step.id, 60),
      rows.cell(step.type, 40), rows.cell(step.what, 300) }
  end
  io.stdout:write(show.table({ "AT", "WHERE", "MESSAGE ID", "TYPE", "WHAT" }, cells), "\n")
end

function trace.run(args)
  local pick, bad = read_pick(args)
  if not pick then return folder.USAGE, bad end
  local s, code, problem = folder.open_store(args)
  if not s then return code, problem end
  local found, kind, why = look(s.store, pick)
  if not found then return folder.exit_code(kind), why end
  local good, of, words = look_for_children(s.store, found)
  if not good then return folder.exit_code(of), words end
  local steps, missing = steps_of(found, live.ask(s).cursor or 0), gaps(s, found)
  if args.json then
    local list = {}
    for i, step in ipairs(steps) do list[i] = step_json(step) end
    io.stdout:write(json.encode(json.object { { "steps", list }, { "unknown", missing } }), "\n")
  elseif #steps > 0 then
    print_steps(steps)
  end
  for _, text in ipairs(args.json and {} or missing) do io.stderr:write("herald: ", text, "\n") end
  if #steps == 0 then return folder.FAILED, "nothing here knows of it: it never came, or has left no trace" end
end

return trace
