-- commands: what each command of the command line does.
--
-- Each takes the parsed words and returns an exit code and, when something is wrong,
-- a text for the user.

local core = require "herald.core"
local due = require "cli.due"
local folder = require "cli.folder"
local json = require "cli.json"
local read_body = require "cli.body"
local settings = require "cli.settings"
local show = require "cli.show"
local topology = require "cli.check.topology"

local commands = {}

local FAILED, USAGE <const> = folder.FAILED, folder.USAGE
local exit_code, whole_number = folder.exit_code, folder.whole_number

local function out(text)
  io.stdout:write(text, "\n")
end

function commands.version(args)
  local v = { { "herald", core.version }, { "lua", _VERSION:match("%S+$") } }
  for name, number in pairs(core.libraries) do v[#v + 1] = { name, number } end
  table.sort(v, function(a, b) return a[1] < b[1] end)
  if args.json then
    out(json.encode(json.object(v)))
  else
    out(show.pairs(v))
  end
end

function commands.run_router(args)
  local s, code, problem = folder.open(args)
  if not s then return code, problem end
  s.until_idle = args.until_idle or false
  s.reread = function()
    local now, why = folder.settings(args)
    if not now then return nil, why end
    return settings.again(now, s)
  end
  s.folders = folder.parts(s)
  local done, kind, why = core.run(s)
  if not done then return exit_code(kind), why end
end

-- What the router that runs says of a route, or the rules as they lie in the folder; true where
-- nobody can tell.
local function is_routed(s, row)
  local answer = core.ask(s.socket, json.encode(json.object { { "ask", "routed" },
    { "type", row.type }, { "order_type", row.key2 or "" } }))
  if answer then return answer[1].routed ~= false end
  if not s.handler_memory then return true end -- the settings are broken
  s.folders = folder.parts(s)
  local rules = core.inspect_rules(s)
  return not rules or not rules.routes or topology.is_routed(row.type, row.key2, rules.routes)
end

local function warn_unrouted(row)
  io.stderr:write(("herald: no herald.route takes type %q%s: until one does, the router makes a dead "
    .. "letter of it\n"):format(show.line(row.type, 200),
      row.key2 and (", order type %q"):format(show.line(row.key2, 200)) or ""))
end

local NUMBERS <const> = { priority = true, delivery_mode = true } -- what AMQP has as numbers

-- The JSON of each "NAME=VALUE", or nil and what is wrong; the core knows the names.
local function read_properties(given)
  local members, seen = {}, {}
  for i, text in ipairs(given) do
    local name, value = text:match("^([^=]+)=(.*)$")
    if not name then return nil, ("--property is %q, but must be NAME=VALUE"):format(text) end
    if not utf8.len(text) then return nil, "--property is not UTF-8 text" end
    if seen[name] then return nil, ("--property gives %s twice"):format(name) end
    seen[name] = true
    members[i] = { name, NUMBERS[name] and math.tointeger(tonumber(value)) or value }
  end
  return #members > 0 and json.encode(json.object(members)) or nil
end

function commands.emit(args)
  local count, bad = whole_number(args.count, "--count", 1, 10000000)
  if not count then return USAGE, bad end
  local row = { type = args.type, key1 = args.key1, key2 = args.key2, key3 = args.key3, id = args.id }
  bad = due.read(args, row)
  if not bad and row.key and count > 1 then
    bad = "--key with --count " .. count .. ": each row would replace the one before"
  end
  if bad then return USAGE, bad end
  row.properties, bad = read_properties(args.properties or {})
  if bad then return USAGE, bad end
  local body, unreadable = read_body(args.body) -- before open changes the folder
  if unreadable then return FAILED, unreadable end
  local s, code, problem = folder.open_store(args)
  if not s then return code, problem end
  row.body = body
  local ids, kind, why = core.emit(s.store, row, count)
  if not ids then return exit_code(kind), why end
  if not is_routed(s, row) then warn_unrouted(row) end
  if args.json then
    out(json.encode(json.object { { "ids", ids } }))
  else
    for _, id in ipairs(ids) do out(id) end
  end
end

-- Runs the command that the words name.
function commands.run(args)
  local by_name = {
    run = commands.run_router, emit = commands.emit, version = commands.version,
  }
  return by_name[args.command](args)
end

return commands
