-- dead: dead letters: found, understood by their groups, mended, replayed, dropped.

local core = require "herald.core"
local folder = require "cli.folder"
local json = require "cli.json"
local read_body = require "cli.body"
local rows = require "cli.rows"
local show = require "cli.show"
local whole = require "cli.whole"

local dead = {}

local FAILED, USAGE <const> = folder.FAILED, folder.USAGE
local HAS <const> = { queue = true, group = true,
                      side = "inbox: handlers gave up; outbox: could not be published." }

local function add_edit(action)
  action:argument("id", "Its id, from `herald dead list`.")
  action:option("--body", "JSON, @FILE, or - for standard input."):argname("JSON")
  action:option("--type", "Message type."):argname("T")
  for i = 1, 3 do
    action:option("--key" .. i, i == 2 and "Business key 2, the order type." or "Business key " .. i .. ".")
      :argname("KEY")
  end
  action:option("--header", "Sets a header; without =VALUE it goes. May be repeated.")
    :argname("NAME=VALUE"):count("*"):target("headers")
  action:flag("--dry-run", "Only say whether it would be valid.")
  action:flag("--json", "Print JSON.")
end

function dead.add(parser, common)
  local command = parser:command("dead", "Dead letters."):require_command(true)
  command:command_target("action")
  local actions = {
    list = command:command("list", "List them, the oldest first."),
    show = command:command("show", "Show one, whole, with what each try came to."),
    groups = command:command("groups", "Errors that differ only in numbers and names are one group."),
    replay = command:command("replay", "Try them again: a handler's soon, a row's through the outbox. "
      .. "Works beside a running router, and waits for one."),
    drop = command:command("drop", "Delete them for good."),
    edit = command:command("edit", "Mend one; `herald dead replay` then sends it."),
  }
  rows.filters(actions.list, HAS)
  rows.paging(actions.list)
  actions.show:argument("id", "Its id, from `herald dead list`.")
  actions.show:flag("--json", "Print JSON.")
  actions.groups:option("--limit", "How many at most."):argname("N"):default("100")
  actions.groups:flag("--json", "Print JSON.")
  for _, name in ipairs { "replay", "drop" } do
    rows.filters(actions[name], HAS)
    rows.change(actions[name])
  end
  add_edit(actions.edit)
  common(command)
  for _, action in pairs(actions) do common(action, "_after_action") end
end

local function letter_json(l)
  return json.object {
    { "id", l.id }, { "message_id", l.message_id or json.null }, { "type", l.type or json.null },
    { "order_type", l.key2 or json.null }, { "queue", l.queue or json.null }, { "side", l.side },
    { "attempts", l.attempts }, { "error", l.error }, { "at", show.time(l.at) },
    { "business_key1", l.key1 or json.null }, { "business_key2", l.key2 or json.null },
    { "business_key3", l.key3 or json.null }, { "exchange", l.exchange },
    { "routing_key", l.routing_key }, { "generation", l.generation }, { "group", l.group },
    { "headers", l.headers }, { "content_type", l.content_type }, { "timestamp", l.timestamp },
    { "properties", l.properties }, { "format", l.format }, { "traceback", l.traceback }, { "tries", whole.tries(l.tries) },
    whole.body(l.body),
  }
end

local function letter_cells(l)
  return { tostring(l.id), show.second(l.at), l.queue or l.side, rows.cell(l.type, 40),
    rows.cell(l.key1, 20), rows.cell(l.key2, 20), tostring(l.attempts), rows.cell(l.error, 100) }
end

function dead.list(args)
  local pick, bad = rows.page(args)
  if not pick then return USAGE, bad end
  local s, code, problem = folder.open_store(args)
  if not s then return code, problem end
  local letters, kind, why = core.dead_list(s.store, pick)
  if not letters then return folder.exit_code(kind), why end
  if #letters == 0 and not args.json then
    io.stdout:write(pick.any and "nothing matches\n" or "no dead letters\n")
    return
  end
  rows.print(args, letters, letter_json,
    { "ID", "AT", "QUEUE", "TYPE", "KEY1", "ORDER", "TRIES", "ERROR" }, letter_cells)
  rows.say_more(args, letters, pick.limit)
end

local function letter_pairs(l)
  return {
    { "id", l.id }, { "at", show.time(l.at) }, { "side", l.side }, { "queue", l.queue },
    { "message id", l.message_id }, { "type", l.type }, { "business keys", whole.keys(l) },
    { "exchange", l.exchange }, { "routing key", l.routing_key }, { "attempts", l.attempts },
    { "rules", whole.rules(l.generation) }, { "headers", l.headers },
    { "content type", l.content_type }, { "timestamp", whole.seconds(l.timestamp) },
    { "properties", l.properties }, { "format", l.format }, { "body", whole.body_text(l.body) }, { "group", l.group }, { "error", l.error },
  }
end

function dead.show(args)
  return whole.run(args, function(s, id) return core.dead_get(s.store, id) end, letter_json, letter_pairs)
end

local function group_json(g)
  return json.object {
    { "group", g.group }, { "count", g.count }, { "side", g.side }, { "queue", g.queue or json.null },
    { "first_at", show.time(g.first_at) }, { "last_at", show.time(g.last_at) },
    { "error", g.error },
  }
end

local function group_cells(g)
  return { g.group, tostring(g.count), show.second(g.first_at), show.second(g.last_at),
    g.queue or g.side, rows.cell(g.error, 100) }
end

function dead.groups(args)
  local limit, bad = folder.whole_number(args.limit, "--limit", 1, 100000)
  if not limit then return USAGE, bad end
  local s, code, problem = folder.open_store(args)
  if not s then return code, problem end
  local groups, kind, why = core.dead_groups(s.store, limit)
  if not groups then return folder.exit_code(kind), why end
  if #groups == 0 and not args.json then
    io.stdout:write("no dead letters\n")
    return
  end
  rows.print(args, groups, group_json,
    { "GROUP", "LETTERS", "FIRST", "LAST", "QUEUE", "ERROR OF THE FIRST" }, group_cells)
end

local letters = { one = "dead letter", many = "dead letters",
                  gone = "not among the dead letters, replayed or dropped already" }

local function change(verb, done)
  local what = { call = "dead_" .. verb, verb = verb, done = done }
  for name, value in pairs(letters) do what[name] = value end
  return function(args) return rows.run_change(args, what) end
end

dead.replay = change("replay", "replayed")
dead.drop = change("drop", "dropped")

-- {name, value} of each "NAME=VALUE", or nil and what is wrong.
local function read_headers(given)
  local list = {}
  for i, text in ipairs(given) do
    local name, value = text:match("^([^=]+)=(.*)$")
    if not name and not text:find("=", 1, true) then name = text end
    if not name or name == "" then
      return nil, ("--header is %q, but must be NAME=VALUE, or NAME for one that shall go"):format(text)
    end
    list[i] = { name = name, value = value }
  end
  return #list > 0 and list or nil
end

function dead.edit(args)
  local id, bad = folder.whole_number(args.id, "ID", 1, math.maxinteger)
  if not id then return USAGE, bad end
  local headers, wrong = read_headers(args.headers or {})
  if wrong then return USAGE, wrong end
  local body, unreadable = read_body(args.body) -- before open changes the folder
  if unreadable then return FAILED, unreadable end
  local edit = { type = args.type, key1 = args.key1, key2 = args.key2, key3 = args.key3, body = body,
                 headers = headers }
  if next(edit) == nil then
    return USAGE, "edit what? Give --body, --type, --key1, --key2, --key3 or --header"
  end
  local s, code, problem = folder.open_store(args)
  if not s then return code, problem end
  local done, kind, why = core.dead_edit(s.store, id, edit, args.dry_run or false)
  if not done then
    return folder.exit_code(kind), ("dead letter %d was not changed: %s"):format(id, why)
  end
  if args.json then
    io.stdout:write(json.encode(json.object { { "edited", args.dry_run and 0 or 1 },
      { "dry_run", args.dry_run or false } }), "\n")
  elseif args.dry_run then
    io.stdout:write(("would edit dead letter %d\n"):format(id))
  else
    io.stdout:write(("edited dead letter %d; send it with: herald dead replay %d\n"):format(id, id))
  end
end

function dead.run(args)
  return dead[args.action](args)
end

return dead
