-- words: the parser of the command line: its commands, their options, and what --help says of
-- them. The manual and the shells' completions are made of it, too (packaging/).

local argparse = require "argparse"

local words = {}

-- Commands in modules of their own: add(parser, common) declares one, where common(command)
-- gives it the options -C, --store and --broker, and common(action, "_after_action") an action
-- of a command; run(args) is as commands.run.
words.modules = {
  backup = require "cli.backup",
  check = require "cli.check",
  dead = require "cli.dead",
  doctor = require "cli.doctor",
  history = require "cli.history",
  init = require "cli.init",
  lanes = require "cli.lanes",
  outbox = require "cli.outbox",
  pause = require "cli.pause",
  reload = require "cli.reload",
  restore = require "cli.restore",
  resume = require "cli.resume",
  retries = require "cli.retries",
  status = require "cli.status",
  store = require "cli.store",
  test = require "cli.test",
  trace = require "cli.trace",
}

local WIDTH <const> = 80 -- of usage and help

-- Options that stand before or after the command; help shows them once. The parser forgets what it read before
-- a command that has the same target, so those behind it have targets of their own.
local function common(command, after)
  local below = after ~= ""
  local function add(option, argument, name)
    option:argname(argument):target(name .. after):hidden(below)
  end
  add(command:option("-C --directory", "The router's folder."), "DIR", "directory")
  add(command:option("--store", "The store, instead of the setting; relative to the folder."), "FILE", "store")
  add(command:option("--broker", 'The broker, instead of the setting: "embedded" or amqp://...'), "URL", "broker")
  if below then command:epilog "-C DIR, --store FILE and --broker URL stand here, too: herald --help." end
end

-- A new one.
function words.parser()
  local parser = argparse("herald", "Routes business events between services, by rules in Lua.")
  parser:command_target("command"):require_command(true)
    :usage_max_width(WIDTH):help_max_width(WIDTH)
  common(parser, "")

  local run = parser:command("run", "Run the router in the foreground.")
  run:flag("--until-idle", "Stop once nothing is left to do: the outbox is empty, nothing is in "
    .. "flight, and no retry is due within a minute.")
  run:option("--log-level", "debug, info, warn or error, instead of the setting."):argname("LEVEL")

  local emit = parser:command("emit", "Add rows to the outbox and print their ids.")
  emit:option("--type", "Message type."):argname("T"):count(1)
  for i = 1, 3 do
    emit:option("--key" .. i, i == 2 and "Business key 2, the order type." or "Business key " .. i .. ".")
      :argname("KEY")
  end
  emit:option("--body", "JSON, @FILE, or - for standard input."):argname("JSON")
  emit:option("--id", "Message id; without it one is made."):argname("ID")
  emit:option("--property", "Set an AMQP property, such as priority=5. May be given again.")
    :argname("NAME=VALUE"):count("*"):target("properties")
  emit:option("--delay", "Send it only after this time, such as 30s, 15m or 7d."):argname("DURATION")
  emit:option("--at", "Send it at this time, such as 2026-01-31T12:00:00Z."):argname("TIME")
  emit:option("--key", "A name: the row replaces older ones of that name, and `herald outbox cancel` "
    .. "takes it out."):argname("NAME")
  emit:option("--count", "How many rows."):argname("N"):default("1")
  emit:flag("--json", "Print JSON.")

  local version = parser:command("version", "Print versions.")
  version:flag("--json", "Print JSON.")

  local names = {}
  for name in pairs(words.modules) do names[#names + 1] = name end
  table.sort(names) -- as --help shows them
  for _, name in ipairs(names) do
    words.modules[name].add(parser, function(command, after) common(command, after or "_after") end)
  end
  for _, command in ipairs { run, emit, version } do common(command, "_after") end
  return parser
end

return words
