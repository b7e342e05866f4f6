-- outbox: messages the broker has not confirmed: seen, sent again, dropped.

local core = require "herald.core"
local due = require "cli.due"
local folder = require "cli.folder"
local json = require "cli.json"
local live = require "cli.live"
local rows = require "cli.rows"
local show = require "cli.show"
local whole = require "cli.whole"

local outbox = {}

local HAS <const> = { lane = true }

function outbox.add(parser, common)
  local command = parser:command("outbox", "Messages the broker has not confirmed yet.")
    :require_command(true)
  command:command_target("action")
  local list = command:command("list", "List them, the oldest first.")
  local one = command:command("show", "Show one, whole.")
  local again = command:command("retry", "Send postponed ones at once. Works beside a running "
    .. "router, and waits for one.")
  local drop = command:command("drop", "Delete them for good; what is in flight may arrive all "
    .. "the same.")
  one:argument("id", "Its id, from `herald outbox list`.")
  one:flag("--json", "Print JSON.")
  rows.filters(list, HAS)
  rows.paging(list)
  for _, action in ipairs { again, drop } do
    rows.filters(action, HAS)
    rows.change(action)
  end
  local cancel = command:command("cancel", "Take back what was emitted with a key, and say whether it "
    .. "may have been sent.")
  cancel:argument("key", "The key."):argname("KEY")
  cancel:flag("--json", "Print JSON.")
  common(command)
  for _, action in ipairs { list, one, again, drop, cancel } do common(action, "_after_action") end
end

local states = { fresh = "fresh", again = "sent again", postponed = "postponed",
                 scheduled = "scheduled", behind = "behind", in_flight = "in flight",
                 waiting = "waiting" }

-- When it is due; what waits for another row or for its outlet has no such time.
local function time_of(r)
  return r.due_at > 0 and r.state ~= "behind" and r.state ~= "waiting" and r.due_at or nil
end

-- An exchange or queue that takes nothing for now, or less than there is for it.
local function waits_for(r)
  return r.state == "waiting" and r.outlet or nil
end

-- What keeps a row here: the outlet that it waits for, or what was said of it last.
local function reason_of(r)
  return waits_for(r) and "waits for " .. waits_for(r) or r.reason
end

local function row_json(r)
  return json.object {
    { "id", r.id }, { "message_id", r.message_id }, { "type", r.type },
    { "order_type", r.key2 or json.null }, { "state", r.state }, { "attempts", r.attempts },
    { "reason", r.reason or json.null }, { "due_at", time_of(r) and show.time(time_of(r)) or json.null },
    { "created_at", show.time(r.created_at) }, { "business_key1", r.key1 or json.null },
    { "business_key2", r.key2 or json.null }, { "business_key3", r.key3 or json.null },
    { "key", r.name or json.null }, { "exchange", r.exchange }, { "routing_key", r.routing_key },
    { "lane", r.lane or json.null }, { "waits_for", waits_for(r) or json.null },
  }
end

local function row_cells(r)
  return { tostring(r.id), show.second(r.created_at), rows.cell(r.type, 40), rows.cell(r.key1, 20),
    rows.cell(r.key2, 20), states[r.state], tostring(r.attempts),
    time_of(r) and show.second(time_of(r)) or "-", rows.cell(r.name, 40),
    rows.cell(r.lane, 40), rows.cell(reason_of(r), 100) }
end

-- No row says so: the router knows how far it has read, and what was due by then is with the
-- broker, if it is here still. What had to wait for its outlet may have gone ahead.
local function say_in_flight(list, said)
  for _, r in ipairs(list) do
    if r.due_at == 0 and (r.outlet and said.running or r.id <= (said.cursor or 0)) then
      r.state = "in_flight"
    end
  end
end

function outbox.list(args)
  local pick, bad = rows.page(args)
  if not pick then return folder.USAGE, bad end
  local s, code, problem = folder.open_store(args)
  if not s then return code, problem end
  local list, kind, why = core.outbox_list(s.store, pick)
  if not list then return folder.exit_code(kind), why end
  say_in_flight(list, live.ask(s))
  if #list == 0 and not args.json then
    io.stdout:write(pick.any and "nothing matches\n" or "the outbox is empty\n")
    return
  end
  rows.print(args, list, row_json,
    { "ID", "CREATED", "TYPE", "KEY1", "ORDER", "STATE", "FAILED", "DUE", "KEY", "LANE", "REASON" },
    row_cells)
  rows.say_more(args, list, pick.limit)
end

local function whole_json(r)
  local members = row_json(r)
  members[#members + 1] = { "headers", r.headers }
  members[#members + 1] = { "properties", r.properties }
  members[#members + 1] = { "format", r.format or json.null }
  members[#members + 1] = whole.body(r.body)
  return members
end

local function row_pairs(r)
  return {
    { "id", r.id }, { "created", show.time(r.created_at) }, { "state", states[r.state] },
    { "due", time_of(r) and show.time(time_of(r)) or nil }, { "key", r.name }, { "lane", r.lane },
    { "message id", r.message_id }, { "type", r.type }, { "business keys", whole.keys(r) },
    { "exchange", r.exchange }, { "routing key", r.routing_key }, { "failed", r.attempts },
    { "waits for", waits_for(r) }, { "headers", r.headers }, { "properties", r.properties },
    { "format", r.format }, { "body", whole.body_text(r.body) },
    { "reason", r.reason },
  }
end

function outbox.show(args)
  local function get(s, id)
    local row, kind, why = core.outbox_get(s.store, id)
    if row then say_in_flight({ row }, live.ask(s)) end
    return row, kind, why
  end
  return whole.run(args, get, whole_json, row_pairs)
end

function outbox.retry(args)
  return rows.run_change(args, {
    call = "outbox_retry", verb = "retry", done = "retried", one = "row", many = "rows",
    gone = "not postponed: sent already, on its way, scheduled, behind another or dropped",
    also = { later = true, failed = true },
  })
end

function outbox.drop(args)
  return rows.run_change(args, {
    call = "outbox_drop", verb = "drop", done = "dropped", one = "row", many = "rows",
    gone = "not in the outbox: sent, dead or dropped already",
  })
end

-- Only "cancelled" is a success: nobody gets the message.
function outbox.cancel(args)
  local bad = due.bad_key(args.key, "KEY")
  if bad then return folder.USAGE, bad end
  local s, code, problem = folder.open_store(args)
  if not s then return code, problem end
  local outcome, kind, why = core.outbox_cancel(s.store, args.key)
  if not outcome then return folder.exit_code(kind), why end
  if args.json then
    io.stdout:write(json.encode(json.object { { "key", args.key }, { "outcome", outcome } }), "\n")
  end
  local name = show.line(args.key, 100)
  if outcome == "none" then
    return folder.FAILED, ("no row has the key %s: sent, cancelled, or never written"):format(name)
  elseif outcome == "sent" then
    return folder.FAILED, ("%s is taken out, but it may have been sent already"):format(name)
  end
  if not args.json then io.stdout:write(("cancelled %s: it was not sent\n"):format(name)) end
end

function outbox.run(args)
  return outbox[args.action](args)
end

return outbox
