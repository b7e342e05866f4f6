-- main: the command line. Parses the words, reads the settings, calls the core, and
-- presents what comes back. Returns the exit code: 0 done, 1 it failed, 2 bad usage or
-- bad configuration.

if arg[1] == "--clerk" then return require "admin.clerk"() end -- the router starts these itself

local commands = require "cli.commands"
local vocabulary = require "cli.words"

local DONE, FAILED, USAGE <const> = 0, 1, 2

local function merge_common(args)
  for _, name in ipairs { "directory", "store", "broker" } do
    args[name] = args[name .. "_after_action"] or args[name .. "_after"] or args[name]
  end
end

-- What people try first.
local synonyms = { ["--version"] = { "version" }, ["-V"] = { "version" }, help = { "--help" } }

local parser = vocabulary.parser()
local at = parser -- the command whose words are wrong
parser.error = function(command, problem)
  at = command
  error({ problem }, 0)
end
local words = #arg == 1 and synonyms[arg[1]] or arg
if arg[1] == "help" and arg[2] then words = { arg[2], "--help" } end
local ok, args = pcall(parser.parse, parser, words)
if not ok then
  if type(args) ~= "table" then error(args, 0) end
  local usage = at:get_usage()
  io.stderr:write("herald: ", args[1], "\n", usage, "\nTry: ", usage:match "^Usage: (.-) %[", " --help\n")
  return USAGE
end

merge_common(args)
local module = vocabulary.modules[args.command] or commands
local code, problem = module.run(args)
if problem then io.stderr:write("herald: ", problem, "\n") end
return code or (problem and FAILED or DONE)
