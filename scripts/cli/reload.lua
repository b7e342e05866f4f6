-- reload: has the running router take the rules as they lie on the disk, and says what that
-- changes.

local core = require "herald.core"
local folder = require "cli.folder"
local json = require "cli.json"
local show = require "cli.show"

local reload = {}

local TIMEOUT_MS <const> = 60000
local TRIAL_MAX <const> = 10000
local PATIENCE_MS <const> = 2000 -- for what the broker can tell of routes
local LOOK_MS <const> = 50
local ERROR_MAX <const> = 2000 -- characters of it

function reload.add(parser, common)
  local command = parser:command("reload", "Have the router take the rules as they are on the disk.")
  command:flag("--dry-run", "Only say what would change.")
  command:option("--trial", "First run the new rules over the last N messages and show what differs.")
    :argname("N")
  command:flag("--json", "Print JSON.")
  common(command)
end

local function out(text)
  io.stdout:write(text, "\n")
end

-- As one line: what ends a line is written out.
local ENDS <const> = { ["\t"] = "\\t", ["\n"] = "\\n" }

-- What a generation did with a message of a trial: lists of words.
local function read_side(side)
  local list = {}
  for i, done in ipairs(side) do
    local words = { what = done.what }
    for n, word in ipairs(done.detail) do words[n] = word:gsub("[\t\n]", ENDS) end
    local due = words.what == "emit" and (words[7] or ""):match "^due_at=(%d+)$"
    if due then words[7] = "due " .. show.time(math.tointeger(due)) end
    list[i] = words
  end
  return list
end

local function read_difference(d)
  return { message_id = d.message_id, queue = d.queue, type = d.type, order_type = d.order_type,
    now = read_side(d.now), next = read_side(d.next) }
end

-- The facts of core/engine/engine_reload.c and trial.h as one table.
local function read(facts)
  local result = { changed = {}, takes_away = {}, differs = {} }
  for _, fact in ipairs(facts) do
    for name, value in pairs(fact) do
      if name == "differs" then
        table.insert(result.differs, read_difference(value))
      elseif result[name] then
        table.insert(result[name], value)
      else
        result[name] = value
      end
    end
  end
  return result
end

-- Routes that lead nowhere, as the router has heard from the broker by now.
local function nowhere_routes(socket)
  local list = {}
  for left = PATIENCE_MS // LOOK_MS, 0, -1 do
    local facts = core.ask(socket, '{"ask":"nowhere"}', TIMEOUT_MS)
    if not facts then break end -- it is gone: the log has it
    list = {}
    for _, fact in ipairs(facts) do
      list[#list + 1] = fact.nowhere
      list.more = fact.nowhere_more or list.more
    end
    if left == 0 or facts[#facts].asked then break end
    core.sleep(LOOK_MS)
  end
  return list
end

local function change_json(c)
  return json.object { { "change", c.change }, { "what", c.what }, { "name", c.name },
                       { "where", c.where } }
end

local function did_json(list)
  local did = {}
  for i, d in ipairs(list) do
    did[i] = json.object { { "what", d.what }, { "detail", table.concat(d, " ") } }
  end
  return did
end

local function print_json(r)
  local changes, differs, nowhere, loses = {}, {}, {}, {}
  for i, l in ipairs(r.takes_away) do loses[i] = json.object { { "what", l.what }, { "name", l.name } } end
  for i, n in ipairs(r.nowhere) do
    nowhere[i] = json.object { { "type", n.type }, { "order_type", n.order_type ~= "*" and n.order_type
      or json.null }, { "to", n.to }, { "where", n.where }, { "what_now", n.what_now } }
  end
  for i, c in ipairs(r.changed) do changes[i] = change_json(c) end
  for i, d in ipairs(r.differs) do
    differs[i] = json.object {
      { "message_id", d.message_id }, { "queue", d.queue }, { "type", d.type },
      { "order_type", d.order_type }, { "now", did_json(d.now) }, { "next", did_json(d.next) },
    }
  end
  out(json.encode(json.object {
    { "outcome", r.outcome }, { "generation", r.generation }, { "hash", r.hash },
    { "changes", changes }, { "takes_away", loses }, { "restart", r.restart or json.null },
    { "unusable", r.unusable or json.null }, { "nowhere", nowhere },
    { "nowhere_more", r.nowhere.more or 0 },
    { "trial", r.trial and json.object {
      { "run", r.trial.run }, { "differing", r.trial.differing }, { "left_out", r.trial.left_out },
      { "differs", differs } } or json.null },
  }))
end

local function print_trial(r)
  out(("trial: %d of the last messages run with both generations, %d differ%s"):format(
    r.trial.run, r.trial.differing,
    r.trial.left_out > 0 and (", %d left out for want of time or room"):format(r.trial.left_out) or ""))
  for _, d in ipairs(r.differs) do
    out(("  message %s of %s, %s %s"):format(show.line(d.message_id, 60), show.line(d.queue, 60),
      show.line(d.type, 60), show.line(d.order_type, 40)))
    for _, side in ipairs { "now", "next" } do
      for _, did in ipairs(d[side]) do
        out(("    %-4s  %-9s  %s"):format(side, did.what, show.line(table.concat(did, "  "), 200)))
      end
    end
  end
end

local function print_text(r)
  if r.outcome == "unchanged" then
    out(("unchanged: generation %d (%s)"):format(r.generation, r.hash))
  else
    out(("%s: generation %d (%s)"):format(r.outcome, r.generation, r.hash))
  end
  for _, c in ipairs(r.changed) do
    out(("  %-8s %-13s %s%s"):format(c.change, c.what, show.line(c.name, 200),
      c.where ~= c.name and "  (" .. show.line(c.where, 200) .. ")" or ""))
  end
  for _, l in ipairs(r.takes_away) do
    out(("  warning  takes away    %s %s"):format(l.what, show.line(l.name, 200)))
  end
  if r.restart then out("  changed, but needs a restart: " .. r.restart) end
  if r.unusable then out("  error    files of the broker are not taken: " .. show.line(r.unusable, ERROR_MAX)) end
  for _, n in ipairs(r.nowhere) do
    out(("  warning  route         %s %s leads to %s: %s  (%s)"):format(show.line(n.type, 200),
      show.line(n.order_type, 200), show.line(n.to, 200), n.what_now, show.line(n.where, 200)))
  end
  if r.nowhere.more then
    out(("  warning  and %d more routes lead to no queue"):format(r.nowhere.more))
  end
  if r.trial then print_trial(r) end
end

function reload.run(args)
  local trial = 0
  if args.trial then
    local bad
    trial, bad = folder.whole_number(args.trial, "--trial", 1, TRIAL_MAX)
    if not trial then return folder.USAGE, bad end
  end
  local ok, why = core.chdir(args.directory or ".")
  if not ok then
    return folder.USAGE, ("no folder %s: %s. Give the router's folder with -C DIR"):format(
      args.directory or ".", why)
  end
  local socket = folder.socket(args)
  local facts, silent = core.ask(socket, json.encode(json.object { { "ask", "reload" },
    { "dry_run", args.dry_run or false }, { "trial", trial } }), TIMEOUT_MS)
  if not facts then
    return folder.FAILED, silent .. ": `herald reload` needs a router that runs in this folder; "
      .. "without one, `herald check` judges the rules"
  end
  local r = read(facts)
  if r.error then
    if args.json then
      out(json.encode(json.object { { "outcome", "refused" }, { "error", r.error } }))
    end
    return folder.FAILED, "nothing was reloaded: " .. show.line(r.error, ERROR_MAX)
  end
  if not r.outcome then return folder.FAILED, "the router gave no answer that can be read" end
  r.nowhere = args.dry_run and {} or nowhere_routes(socket)
  if args.json then print_json(r) else print_text(r) end
end

return reload
