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
  list:option("--since", "Only what was finished then or later: 2025-01-31, 2025-01-31T10:00:00Z "
    .. "(UTC), or a duration ago such as 24h."):argname("TIME")
  list:option("--before", "Only what was finished earlier."):argname("TIME")
  rows.paging(list, "Only what is listed behind this id.")
  one:argument("id", "Its id, from `herald history list`.")
  one:flag("--json", "Print JSON.")
  common(command)
  for _, action in ipairs { list, one } do common(action, "_after_action") end
end

-- Days from 1970-01-01 to a day of the Gregorian calendar.
local function days(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + day - 719469
end

local DATE <const> = "^(%d%d%d%d)%-(%d%d)%-(%d%d)"
local TIMES <const> = { DATE .. "$", DATE .. "[T ](%d%d):(%d%d)Z?$", DATE .. "[T ](%d%d):(%d%d):(%d%d)Z?$",
  DATE .. "[T ](%d%d):(%d%d):(%d%d)%.(%d%d%d)Z?$" }

-- Milliseconds since 1970 of a time in UTC; nil when the text is none, such as February 30.
local function read_time(text)
  for _, pattern in ipairs(TIMES) do
    local year, month, day, h, m, s, ms = text:match(pattern)
    if year then
      local at = days(math.tointeger(year), math.tointeger(month), math.tointeger(day)) * 86400000
        + (h or 0) * 3600000 + (m or 0) * 60000 + (s or 0) * 1000 + (ms or 0)
      local same = ("%s-%s-%sT%s:%s:%s.%sZ"):format(year, month, day, h or "00", m or "00", s or "00",
        ms or "000")
      at = math.tointeger(at)
      return show.time(at) == same and at or nil
    end
  end
end

-- The moment that a text names, never 0, which would be none; or nil and what is wrong.
local function moment(text, option)
  local ago = core.duration(text)
  local at = ago and os.time() * 1000 - ago or read_time(text)
  if at then return math.max(at, 1) end
  return nil, ("%s is %q, but must be a time such as 2025-01-31 or 2025-01-31T10:00:00Z (UTC), or a "
    .. "duration such as 15m, 24h or 7d"):format(option, text)
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

-- What the words say for the core, or nil and what is wrong.
local function read_page(args)
  local pick, bad = rows.page(args)
  if not pick then return nil, bad end
  for option, name in pairs { since = "since_ms", before = "before_ms" } do
    if args[option] then
      pick[name], bad = moment(args[option], "--" .. option)
      if bad then return nil, bad end
      pick.any = true
    end
  end
  return pick
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
  local pick, bad = read_page(args)
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
