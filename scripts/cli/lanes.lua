-- lanes: where messages of one key wait behind one another; seen, and released.

local core = require "herald.core"
local folder = require "cli.folder"
local json = require "cli.json"
local rows = require "cli.rows"
local show = require "cli.show"

local lanes = {}

function lanes.add(parser, common)
  local command = parser:command("lanes", "Keys whose messages wait behind an earlier one (order_by).")
    :require_command(true)
  command:command_target("action")
  local list = command:command("list", "List them, with what they wait for: a retry, a dead letter "
    .. "that holds its lane, or an outbox row.")
  list:option("--limit", "How many of each kind at most."):argname("N"):default("100")
  list:flag("--json", "Print JSON.")
  local release = command:command("release", "Take what a lane waits for out of the order: the "
    .. "others go on without it. To be rid of it, drop it: herald retries, dead or outbox drop.")
  release:argument("head", "retry, dead or outbox."):choices { "retry", "dead", "outbox" }
  release:argument("ids", "Its id, as list shows it."):args("+"):argname("ID")
  release:flag("--json", "Print JSON.")
  common(command)
  for _, action in ipairs { list, release } do common(action, "_after_action") end
end

-- When a retry or a row is due; a letter, and what is in flight, have no such time.
local function due(lane)
  return lane.head ~= "dead" and lane.due_at > 0 and lane.due_at or nil
end

local function lane_json(l)
  return json.object {
    { "head", l.head }, { "id", l.id }, { "queue", l.queue or json.null }, { "lane", l.lane },
    { "waiting", l.waiting }, { "attempts", l.attempts },
    { "due_at", due(l) and show.time(due(l)) or json.null }, { "error", l.error or json.null },
  }
end

local function lane_cells(l)
  return { l.head, tostring(l.id), due(l) and show.second(due(l)) or "-", l.queue or "-",
    rows.cell(l.lane, 60), tostring(l.waiting), tostring(l.attempts), rows.cell(l.error, 100) }
end

function lanes.list(args)
  local limit, bad = folder.whole_number(args.limit, "--limit", 1, 1000000)
  if not limit then return folder.USAGE, bad end
  local s, code, problem = folder.open_store(args)
  if not s then return code, problem end
  local list, kind, why = core.lanes_list(s.store, limit)
  if not list then return folder.exit_code(kind), why end
  if #list == 0 and not args.json then
    io.stdout:write("no lane waits\n")
    return
  end
  rows.print(args, list, lane_json,
    { "HEAD", "ID", "DUE", "QUEUE", "LANE", "BEHIND", "TRIES", "ERROR" }, lane_cells)
end

local CALLS <const> = {
  retry = "lanes_release_retry", dead = "lanes_release_letter", outbox = "lanes_release_row",
}

function lanes.release(args)
  return rows.run_change(args, {
    call = CALLS[args.head], verb = "release", done = "released", one = "lane", many = "lanes",
    gone = "no lane waits for it",
  })
end

function lanes.run(args)
  return lanes[args.action](args)
end

return lanes
