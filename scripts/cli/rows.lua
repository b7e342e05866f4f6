-- rows: what the commands that list and change rows of the store have in common: their
-- filters, the options of a change, its progress, and what it says at its end.

local core = require "herald.core"
local folder = require "cli.folder"
local json = require "cli.json"
local moment = require "cli.moment"
local show = require "cli.show"

local rows = {}

local USAGE <const> = folder.USAGE
local IDS_MAX <const> = 10000
local LIMIT_MAX <const> = 1000000
local QUIET_S <const> = 2 -- so long a change says nothing where nobody watches

-- Declares what tells kinds of messages apart. `has` names what these rows have besides:
-- queue, side (what its words mean).
function rows.kinds(command, has)
  command:option("--type", "Only this message type."):argname("T")
  command:option("--key1", "Only of this business key 1, such as an order's number."):argname("KEY")
  command:option("--order-type --key2", "Only this order type (business key 2)."):argname("KEY")
  command:option("--key3", "Only of this business key 3."):argname("KEY")
  command:option("--message-id", "Only of this message id."):argname("ID")
  if has.queue then command:option("--queue", "Only of this queue."):argname("Q") end
  if has.side then
    command:option("--side", has.side):argname("SIDE"):choices { "inbox", "outbox" }
  end
end

function rows.times(command)
  command:option("--since", "Only from then on: 2025-01-31, 2025-01-31T10:00:00Z (UTC), or a duration ago "
    .. "such as 24h."):argname("TIME")
  command:option("--before", "Only earlier ones."):argname("TIME")
end

-- Declares ids and filters. `has` as for rows.kinds, group and lane.
function rows.filters(command, has)
  command:argument("ids", "Only these ids."):args("*"):argname("ID")
  rows.kinds(command, has)
  if has.lane then
    command:option("--lane", "Only in this lane, as `herald lanes list` shows it."):argname("L")
  end
  command:option("--error", "Only where the error holds this text."):argname("TEXT")
  if has.group then
    command:option("--group", "Only this group, from `herald dead groups`."):argname("G")
  end
  rows.times(command)
  command:option("--older-than", "Only older ones, such as 15m, 24h or 7d."):argname("DURATION")
  command:option("--newer-than", "Only younger ones."):argname("DURATION")
end

-- `after` says what --after means where ids do not ascend.
function rows.paging(command, after)
  command:option("--limit", "How many at most."):argname("N"):default("100")
  command:option("--after", after or "Only rows with a larger id."):argname("ID"):default("0")
  command:flag("--json", "Print JSON.")
end

function rows.change(command)
  command:flag("--all", "Every one; needed where no id and no filter is given.")
  command:option("--limit", "How many at most."):argname("N")
  command:flag("--dry-run", "Only say how many there are.")
  command:flag("--json", "Print JSON.")
end

local function duration(text, option)
  local ms = core.duration(text)
  if ms then return ms end
  return nil, ("%s is %q, but must be a duration such as 30s, 15m, 24h or 7d"):format(option, text)
end

-- Sets what the words say of times, or returns what is wrong.
local function read_times(args, pick)
  local bad
  if args.since and args.newer_than then return "--since and --newer-than exclude each other" end
  if args.before and args.older_than then return "--before and --older-than exclude each other" end
  for option, name in pairs { older_than = "older_ms", newer_than = "newer_ms" } do
    if args[option] then pick[name], bad = duration(args[option], "--" .. option:gsub("_", "-")) end
    if bad then return bad end
  end
  for option, name in pairs { since = "since_ms", before = "before_ms" } do
    if args[option] then pick[name], bad = moment.read(args[option], "--" .. option) end
    if bad then return bad end
  end
  pick.any = pick.any or (args.older_than or args.newer_than or args.since or args.before) ~= nil
end

local function read_ids(given)
  if #given > IDS_MAX then
    return nil, ("%d ids, but at most %d at a time: use a filter"):format(#given, IDS_MAX)
  end
  local ids, seen = {}, {}
  for _, text in ipairs(given) do
    local id, bad = folder.whole_number(text, "ID", 1, math.maxinteger)
    if not id then return nil, bad end
    if not seen[id] then ids[#ids + 1] = id end
    seen[id] = true
  end
  return ids
end

-- What the words say as a table for the core, or nil and what is wrong. Its field `any` is
-- false when nothing restricts it.
function rows.pick(args)
  local pick, bad = { any = false }
  for _, name in ipairs { "type", "key1", "order_type", "key3", "message_id", "queue", "side", "lane",
    "error" } do
    pick[name] = args[name]
    pick.any = pick.any or args[name] ~= nil
  end
  if args.error == "" then return nil, "--error needs a text to look for" end
  bad = read_times(args, pick)
  if bad then return nil, bad end
  if args.group then
    pick.group = args.group:match("^%x%x?%x?%x?%x?%x?%x?%x?$") and tonumber(args.group, 16)
    if not pick.group then
      return nil, ("--group is %q, but must be a group's number from `herald dead groups`, such as "
        .. "1f03c2d4"):format(args.group)
    end
    pick.any = true
  end
  if args.ids and #args.ids > 0 then
    pick.ids, bad = read_ids(args.ids)
    if bad then return nil, bad end
    pick.any = true
  end
  return pick
end

-- The same for a listing: with after and limit.
function rows.page(args)
  local pick, bad = rows.pick(args)
  if not pick then return nil, bad end
  pick.limit, bad = folder.whole_number(args.limit, "--limit", 1, LIMIT_MAX)
  if not pick.limit then return nil, bad end
  pick.after, bad = folder.whole_number(args.after, "--after", 0, math.maxinteger)
  if not pick.after then return nil, bad end
  return pick
end

-- The same for a change, which must say what it means.
function rows.target(args, verb)
  local pick, bad = rows.pick(args)
  if not pick then return nil, bad end
  if not pick.any and not args.all then
    return nil, ("%s which? Give ids or filters, or --all for every one"):format(verb)
  end
  if pick.ids and args.all then return nil, "--all and ids contradict each other" end
  if args.limit then
    pick.limit, bad = folder.whole_number(args.limit, "--limit", 1, math.maxinteger)
    if not pick.limit then return nil, bad end
  end
  pick.dry_run = args.dry_run or false
  return pick
end

-- Says how far it has got: to whoever watches always, else when it takes long.
local function progress(done_word)
  local watched, began, said = core.stderr_is_terminal(), os.time(), os.time()
  local shown = false
  return function(done)
    local now = os.time()
    if not watched and (now - began < QUIET_S or now - said < QUIET_S) then return end
    io.stderr:write(watched and "\r" or "", ("herald: %s %d so far"):format(done_word, done),
      watched and "" or "\n")
    said, shown = now, watched
  end, function()
    if shown then io.stderr:write("\n") end
  end
end

-- Runs a change and tells about it. `what`: {call, done ("replayed"), verb ("replay"), one,
-- many ("dead letter", "dead letters"), gone (what an id that is not there may be), hint}.
function rows.run_change(args, what)
  local pick, bad = rows.target(args, what.verb)
  if not pick then return USAGE, bad end
  for name, value in pairs(what.also or {}) do pick[name] = value end
  local s, code, problem = folder.open_store(args)
  if not s then return code, problem end
  local tell, finish = progress(what.done)
  local n, kind, why = core[what.call](s.store, pick, tell)
  finish()
  if not n then return folder.exit_code(kind), why end
  local too_large = kind or 0
  local skipped = pick.ids and not pick.limit and #pick.ids - n - too_large or 0
  if args.json then
    io.stdout:write(json.encode(json.object {
      { (what.done:gsub(" ", "_")), n }, { "skipped", skipped }, { "too_large", too_large > 0 and too_large or nil }, { "dry_run", pick.dry_run } }), "\n")
    return
  end
  local list = {}
  if n == 0 then
    list[1] = "nothing matches"
  else
    list[1] = ("%s %d %s"):format(pick.dry_run and "would " .. what.verb or what.done, n,
      n == 1 and what.one or what.many)
  end
  if skipped > 0 then list[#list + 1] = ("%d skipped: %s"):format(skipped, what.gone) end
  if too_large > 0 then
    list[#list + 1] = ("%d left: over 16 MiB, which no rule may be given; `herald dead show` has them whole")
      :format(too_large)
  end
  io.stdout:write(table.concat(list, "; "), "\n")
end

-- Prints a listing: rows as JSON objects, or as a table with a hint where to go on.
function rows.print(args, list, as_json, headings, as_cells)
  local printed = {}
  for i, row in ipairs(list) do printed[i] = (args.json and as_json or as_cells)(row) end
  if args.json then
    io.stdout:write(json.encode(printed), "\n")
  else
    io.stdout:write(show.table(headings, printed), "\n")
  end
end

-- Where a page was full there may be more; said aside, since scripts read the table.
function rows.say_more(args, list, limit)
  if not args.json and #list == limit then
    io.stderr:write(("herald: the first %d; more with --after %d\n"):format(limit, list[#list].id))
  end
end

-- Text for a table's cell.
function rows.cell(text, max)
  return text and show.line(text, max) or "-"
end

return rows
