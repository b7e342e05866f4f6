-- doctor: what is wrong with a router's place, and what to do about it. Nothing is changed, neither
-- in the store nor on the broker. The parts are in doctor/.

local core = require "herald.core"
local broker = require "cli.doctor.broker"
local folder = require "cli.folder"
local json = require "cli.json"
local place = require "cli.doctor.place"
local show = require "cli.show"
local store = require "cli.doctor.store"
local versions = require "cli.doctor.versions"

local doctor = {}

local TEXT_MAX <const> = 1000
local HOUR_MS <const> = 3600000
local RANK <const> = { error = 1, warning = 2, note = 3, ok = 4 }

function doctor.add(parser, common)
  local command = parser:command("doctor", "Look for what is wrong: store, versions, disk, rights, clock, sockets, "
    .. "broker, settings. Changes nothing; ends with 1 where there is an error.")
  command:flag("--full", "Compare each index with its table, too, which takes longer.")
  command:flag("--offline", "Leave the broker alone.")
  command:flag("--json", "Print JSON.")
  common(command)
end

local findings = {}
findings.__index = findings

-- `what` of `where` in the words of an area, and what to `do` about it.
function findings:add(severity, area, where, what, advice)
  if what:sub(1, #where + 2) == where .. ": " then what = what:sub(#where + 3) end
  self[#self + 1] = { severity = severity, area = area, where = where, what = what, advice = advice, at = #self }
  self.counts[severity] = self.counts[severity] + 1
end

local function judge_settings(s, found)
  local host = s.broker:match "^amqp://[^/]*@([^/]*)" or s.broker:match "^amqp://([^/]*)"
  if host and not (host:match "^localhost" or host:match "^127%." or host:match "^%[::1%]") then
    found:add("warning", "settings", "broker", "the password and all messages go to another machine in the clear",
      "use amqps:// (docs/operations.md#tls)")
  end
  if s.broker:match "^amqps://" and s.tls and s.tls.verify == false then
    found:add("warning", "settings", "tls.verify", "false: anybody may play the broker", "give tls.ca instead")
  end
  if s.inbox_window and s.inbox_window < HOUR_MS then
    found:add("warning", "settings", "inbox_window", "ids are forgotten within the hour: what is sent again later is "
      .. "handled twice", "leave it at 7d, or above what the broker and its producers may keep back")
  end
  if s.log_level == "debug" then
    found:add("note", "settings", "log_level", "debug: a line for each message", "info, once you have seen enough")
  end
end

local function as_json(found)
  local list = {}
  for i, f in ipairs(found) do
    list[i] = json.object { { "severity", f.severity }, { "area", f.area }, { "where", f.where }, { "what", f.what },
      { "do", f.advice or json.null } }
  end
  return json.encode(json.object { { "errors", found.counts.error }, { "warnings", found.counts.warning },
    { "findings", list } })
end

local function as_text(found)
  local lines = {}
  for _, f in ipairs(found) do
    lines[#lines + 1] = ("%-8s %-13s %s: %s"):format(f.severity, f.area, show.line(f.where, 200),
      show.line(f.what, TEXT_MAX))
    if f.advice and f.severity ~= "ok" then
      lines[#lines + 1] = (" "):rep(9) .. "-> " .. show.line(f.advice, TEXT_MAX)
    end
  end
  lines[#lines + 1] = ("%d errors, %d warnings"):format(found.counts.error, found.counts.warning)
  return table.concat(lines, "\n")
end

-- What is worst comes first; the order of looking otherwise.
local function before(a, b)
  if a.severity ~= b.severity then return RANK[a.severity] < RANK[b.severity] end
  return a.at < b.at
end

-- Goes to the folder; its settings, or nil and, as findings, why the defaults have to do.
local function settings_of(args, found)
  local s, bad = folder.settings(args)
  if s then return s end
  found:add("error", "settings", "herald.lua", bad, "herald check")
  local answer = core.ask(folder.socket(args), '{"ask":"status"}')
  local path = args.store or answer and answer[1].store
  return { store = path or "herald.db", socket = folder.socket(args), broken = true }
end

function doctor.run(args)
  local where = args.directory or "."
  local there, gone = core.chdir(where)
  if not there then
    return folder.USAGE, ("no folder %s: %s. Give the router's folder with -C DIR"):format(where, gone)
  end
  local found = setmetatable({ counts = { error = 0, warning = 0, note = 0, ok = 0 } }, findings)
  local s = settings_of(args, found)
  versions.judge(found)
  store.judge(s.store, args, found)
  place.disk(s.store, found)
  place.rights(s, found)
  place.socket(s, found)
  if not s.broken then
    judge_settings(s, found)
    if not args.offline then broker.judge(s, found, versions) end
  end
  table.sort(found, before)
  io.stdout:write(args.json and as_json(found) or as_text(found), "\n")
  return found.counts.error > 0 and folder.FAILED or nil
end

return doctor
