-- check: `herald check`: everything that can be known about a router folder without running
-- it. The parts are in check/.

local core = require "herald.core"
local calls = require "cli.check.calls"
local findings = require "cli.check.findings"
local folder = require "cli.folder"
local lint = require "cli.check.lint"
local retry = require "cli.check.retry"
local sql = require "cli.check.sql"
local topology = require "cli.check.topology"

local check = {}

function check.add(parser, common)
  local command = parser:command("check", "Judge settings, rules, migrations and SQL without running them.")
  command:flag("--live", "Also compare with the broker, and change nothing there.")
  command:flag("--json", "Print JSON.")
  common(command)
end

-- Where herald.lua says this.
local function setting_place(name)
  local line = 0
  for text in (lint.read("herald.lua") or ""):gmatch("([^\n]*)\n?") do
    line = line + 1
    local column = name and text:match("^[^-]-()%f[%w_]" .. name:gsub("%W", "%%%0") .. "%s*=")
    if column then return { file = "herald.lua", line = line, column = column } end
  end
  return { file = "herald.lua" }
end

local function judge_settings(why, found)
  local text = why:match("^herald%.lua: (.*)$")
  if text then
    found:error(setting_place(text:match("^setting '([%w_]+)'") or text:match("^unknown setting '([^']+)'")
      or text:match("^([%w_]+) %(")), text)
  else
    found:add_words(why, "herald.lua")
  end
end

local function count_migrations(parts)
  local count = 0
  for _, part in ipairs(parts) do
    for _, name in ipairs(core.list(part.path .. "/migrations") or {}) do
      if name:match("%.sql$") then count = count + 1 end
    end
  end
  return count
end

local function judge_live(rules, live, found)
  if rules.live_error then
    found:error({ file = "herald.lua" }, "--live: " .. rules.live_error)
  end
  for _, said in ipairs(rules.live) do
    found:add(said.severity, said.origin ~= "" and found.place(said.origin) or { file = "herald.lua" },
      said.text)
  end
  if live == "embedded" then
    found:note({ file = "herald.lua" }, "--live: the embedded broker has only what these rules "
      .. "declare: there is nothing to compare")
  end
end

-- What loads is judged further; returns the line for people when nothing is wrong.
local function judge_rules(rules, s, found)
  if rules.migrations_error then
    found:add_words(rules.migrations_error, "migrations")
    found:note({ file = "herald.lua" }, "the SQL of the rules was not looked at: the migrations fail")
  end
  for _, said in ipairs(rules.applied) do -- what the router's own store makes of them
    found:add(said.severity, said.origin ~= "" and found.place(said.origin)
      or { file = said.text:match "^%S+" }, said.text)
  end
  if rules.rules_error then
    found:add_words(rules.rules_error, "rules")
    found:note({ file = "herald.lua" },
      "SQL, routes, subscriptions and handlers were not looked at: the rules do not load")
    return nil
  end
  local statements = sql.judge(rules.constants, found)
  calls.judge(rules.constants, found)
  topology.judge(rules, s.broker, found)
  retry.judge(rules, s.retry, setting_place "retry", found)
  retry.judge_setting(s.publish_retry, setting_place "publish_retry", found)
  return ("%d routes, %d subscriptions, %d handlers, %d statements"):format(#rules.routes,
    #rules.subscriptions, #rules.handlers, statements)
end

-- Only the store itself is made.
local function judge_store(store, found)
  local above = store:match("^(.*)/[^/]*$")
  if above and above ~= "" and core.kind(above) ~= "folder" then
    found:error(setting_place "store", ("the store's folder %s is not there: make it, with the "
      .. "rights of the user that herald runs as"):format(above))
  end
end

-- Files that a connection would use; returns whether one can be tried with them.
local function judge_credentials(s, found)
  local usable = true
  for _, said in ipairs(s.broker == "embedded" and {} or core.judge_credentials(s)) do
    local place = said.text:find("password_file", 1, true) and "password_file" or "tls"
    found:add(said.severity, setting_place(place), said.text)
    usable = usable and said.severity ~= "error"
  end
  return usable
end

-- Returns the line for people when nothing is wrong, or nil, kind, why.
local function judge(args, s, found)
  s.folders = folder.parts(s)
  judge_store(s.store, found)
  local files = lint.files(s.folders)
  lint.luacheck(lint.syntax(files, found), found)
  local usable = judge_credentials(s, found)
  s.live = args.live and s.broker ~= "embedded" and usable
  local rules, kind, why = core.inspect_rules(s)
  if not rules then return nil, kind, why end
  local counts = judge_rules(rules, s, found)
  judge_live(rules, args.live and s.broker, found)
  return ("ok: %d files, %d migrations, %s"):format(#files, count_migrations(s.folders),
    counts or "rules that do not load")
end

function check.run(args)
  local where = args.directory or "."
  local there, gone = core.chdir(where)
  if not there then
    return folder.USAGE, ("no folder %s: %s. Give the router's folder with -C DIR"):format(where, gone)
  end
  local s, bad = folder.settings(args)
  if not s and core.kind("herald.lua") ~= "file" then return folder.USAGE, bad end
  local found, ok = findings.new(), nil
  if s then
    local kind, why
    ok, kind, why = judge(args, s, found)
    if not ok then return folder.exit_code(kind), why end
  else
    judge_settings(bad, found)
  end
  if args.json then
    io.stdout:write(found:json(), "\n")
  else
    for _, line in ipairs(found:lines(ok)) do io.stdout:write(line, "\n") end
  end
  return found.counts.error > 0 and folder.FAILED or 0
end

return check
