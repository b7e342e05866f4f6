-- retries: messages whose handler failed and that are due again: seen, hastened, dropped.

local core = require "herald.core"
local folder = require "cli.folder"
local json = require "cli.json"
local rows = require "cli.rows"
local show = require "cli.show"
local whole = require "cli.whole"

local retries = {}

local HAS <const> = { queue = true }

function retries.add(parser, common)
  local command = parser:command("retries", "Messages that are tried again later.")
    :require_command(true)
  command:command_target("action")
  local list = command:command("list", "List them, the oldest first.")
  local one = command:command("show", "Show one, whole, with what each try came to.")
  local now = command:command("now", "Make them due at once. Works beside a running router, and "
    .. "waits for one.")
  local drop = command:command("drop", "Delete them for good; a redelivery changes nothing.")
  one:argument("id", "Its id, from `herald retries list`.")
  one:flag("--json", "Print JSON.")
  rows.filters(list, HAS)
  rows.paging(list)
  for _, action in ipairs { now, drop } do
    rows.filters(action, HAS)
    rows.change(action)
  end
  common(command)
  for _, action in ipairs { list, one, now, drop } do common(action, "_after_action") end
end

local function retry_json(r)
  return json.object {
    { "id", r.id }, { "message_id", r.message_id or json.null }, { "type", r.type or json.null },
    { "order_type", r.key2 or json.null }, { "queue", r.queue }, { "attempts", r.attempts },
    { "due_at", r.behind and json.null or show.time(r.due_at) }, { "first_at", show.time(r.first_at) },
    { "orphaned", r.orphaned }, { "error", r.error }, { "business_key1", r.key1 or json.null },
    { "business_key2", r.key2 or json.null }, { "business_key3", r.key3 or json.null },
    { "generation", r.generation }, { "lane", r.lane or json.null }, { "behind", r.behind },
    { "tries", whole.tries(r.tries) },
  }
end

local function whole_json(r)
  local members = retry_json(r)
  for _, member in ipairs {
    { "exchange", r.exchange }, { "routing_key", r.routing_key }, { "headers", r.headers },
    { "content_type", r.content_type }, { "timestamp", r.timestamp }, { "properties", r.properties },
    whole.body(r.body),
  } do
    members[#members + 1] = member
  end
  return members
end

local function state(r)
  return r.behind and "behind" or r.orphaned and "orphaned" or "waiting"
end

local function retry_pairs(r)
  return {
    { "id", r.id }, { "due", not r.behind and show.time(r.due_at) or nil },
    { "first tried", show.time(r.first_at) }, { "state", state(r) }, { "queue", r.queue },
    { "lane", r.lane }, { "message id", r.message_id }, { "type", r.type },
    { "business keys", whole.keys(r) }, { "exchange", r.exchange }, { "routing key", r.routing_key },
    { "attempts", r.attempts }, { "rules", whole.rules(r.generation) }, { "headers", r.headers },
    { "content type", r.content_type }, { "timestamp", whole.seconds(r.timestamp) },
    { "properties", r.properties }, { "body", whole.body_text(r.body) }, { "error", r.error },
  }
end

local function retry_cells(r)
  return { tostring(r.id), r.behind and "-" or show.second(r.due_at), r.queue, rows.cell(r.type, 40),
    rows.cell(r.key1, 20), rows.cell(r.key2, 20), tostring(r.attempts), state(r),
    rows.cell(r.error, 100) }
end

function retries.list(args)
  local pick, bad = rows.page(args)
  if not pick then return folder.USAGE, bad end
  local s, code, problem = folder.open_store(args)
  if not s then return code, problem end
  local list, kind, why = core.retries_list(s.store, pick)
  if not list then return folder.exit_code(kind), why end
  if #list == 0 and not args.json then
    io.stdout:write(pick.any and "nothing matches\n" or "no retries\n")
    return
  end
  rows.print(args, list, retry_json,
    { "ID", "DUE", "QUEUE", "TYPE", "KEY1", "ORDER", "TRIES", "STATE", "ERROR" }, retry_cells)
  rows.say_more(args, list, pick.limit)
end

function retries.show(args)
  return whole.run(args, function(s, id) return core.retries_get(s.store, id) end, whole_json, retry_pairs)
end

function retries.now(args)
  return rows.run_change(args, {
    call = "retries_now", verb = "make due", done = "made due", one = "retry", many = "retries",
    gone = "not waiting: due already, or gone", also = { later = true },
  })
end

function retries.drop(args)
  return rows.run_change(args, {
    call = "retries_drop", verb = "drop", done = "dropped", one = "retry", many = "retries",
    gone = "not among the retries: handled, dead or dropped already",
  })
end

function retries.run(args)
  return retries[args.action](args)
end

return retries
