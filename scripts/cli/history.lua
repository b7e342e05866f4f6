-- history: messages that are finished: handled, ignored, confirmed by the broker. Kept when
-- the setting `history` says for how long.

local core = require "herald.core"
local folder = require "cli.folder"
local json = require "cli.json"
local rows = require "cli.rows"
local show = require "cli.show"
local whole = require "cli.whole"

local history = {}

local USAGE <const> = folder.USAGE

function history.add(parser, common)
  local command = parser:command("history", "Messages that are finished, while `history` is set.")
    :require_command(true)
  command:command_target("action")
  local list = command:command("list", "List them, the newest first.")
  local one = command:command("show", "Show one, whole.")
  rows.kinds(list, { queue = true, side = "inbox: was handled here; outbox: was sent." })
  rows.times(list)
  rows.paging(list, "Only what is listed behind this id.")
  one:argument("id", "Its id, from `herald history list`.")
  one:flag("--json", "Print JSON.")
  common(command)
  for _, action in ipairs { list, one } do common(action, "_after_action") end
end

local function row_json(r)
  return json.object {
    { "id", r.id }, { "at", show.time(r.at) }, { "side", r.side }, { "outcome", r.outcome },
    { "message_id", r.message_id or json.null }, { "type", r.type or json.null },
    { "order_type", r.key2 or json.null }, { "queue", r.queue or json.null },
    { "attempts", r.attempts }, { "generation", r.generation },
    { "business_key1", r.key1 or json.null }, { "business_key2", r.key2 or json.null },
    { "business_key3", r.key3 or json.null }, { "exchange", r.exchange },
    { "routing_key", r.routing_key }, { "headers", r.headers },
  }
end

local function whole_json(r)
  local members = row_json(r)
  members[#members + 1] = { "content_type", r.content_type }
  members[#members + 1] = { "timestamp", r.timestamp }
  members[#members + 1] = { "properties", r.properties }
  members[#members + 1] = whole.body(r.body)
  return members
end

local function row_cells(r)
  return { tostring(r.id), show.second(r.at), r.outcome, r.queue or r.side, rows.cell(r.type, 40),
    rows.cell(r.key1, 20), rows.cell(r.key2, 20), tostring(r.attempts), rows.cell(r.message_id, 60) }
end

local function say_none(pick, s)
  if pick.any then
    io.stdout:write("nothing matches\n")
  elseif s.history > 0 then
    io.stdout:write("no history\n")
  else
    io.stdout:write('no history: herald.lua has no history = "30d"\n')
  end
end

function history.list(args)
  local pick, bad = rows.page(args)
  if not pick then return USAGE, bad end
  local s, code, problem = folder.open_store(args)
  if not s then return code, problem end
  local list, kind, why = core.history_list(s.store, pick)
  if not list then return folder.exit_code(kind), why end
  if #list == 0 and not args.json then return say_none(pick, s) end
  rows.print(args, list, row_json,
    { "ID", "AT", "OUTCOME", "QUEUE", "TYPE", "KEY1", "ORDER", "TRIES", "MESSAGE ID" }, row_cells)
  rows.say_more(args, list, pick.limit)
end

local function row_pairs(r)
  return {
    { "id", r.id }, { "at", show.time(r.at) }, { "side", r.side }, { "outcome", r.outcome },
    { "queue", r.queue }, { "message id", r.message_id }, { "type", r.type },
    { "business keys", whole.keys(r) }, { "exchange", r.exchange }, { "routing key", r.routing_key },
    { "attempts", r.attempts }, { "rules", whole.rules(r.generation) }, { "headers", r.headers },
    { "content type", r.content_type }, { "timestamp", whole.seconds(r.timestamp) },
    { "properties", r.properties }, { "body", whole.body_text(r.body) },
  }
end

function history.show(args)
  return whole.run(args, function(s, id) return core.history_get(s.store, id) end, whole_json, row_pairs)
end

function history.run(args)
  return history[args.action](args)
end

return history
