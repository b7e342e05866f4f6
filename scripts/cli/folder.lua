-- folder: what every command does first: go to the router's folder and read its settings.

local core = require "herald.core"
local settings = require "cli.settings"

local folder = { FAILED = 1, USAGE = 2 } -- exit codes besides 0

-- Where the router of a folder listens whose settings cannot be read and would not say otherwise.
local SOCKET <const> = "herald.sock"

-- ERR_CONFIG and usage errors end with 2, everything else with 1.
function folder.exit_code(kind)
  return kind == "config" and folder.USAGE or folder.FAILED
end

-- Settings with what the words and the environment override, or nil and what is wrong. The current
-- folder is the router's.
function folder.settings(args)
  local loaded, why = settings.load(args.directory or ".", {
    store = args.store or os.getenv "HERALD_STORE",
    broker = args.broker or os.getenv "HERALD_BROKER",
    log_level = args.log_level or os.getenv "HERALD_LOG_LEVEL",
    log_format = os.getenv "HERALD_LOG_FORMAT",
  })
  if loaded and settings.hold_secrets(loaded) then core.guard_secrets() end
  return loaded, why
end

-- The folders whose rules and migrations belong to the router: {path, namespace}.
function folder.parts(s)
  local parts = {}
  for i, name in ipairs(s.include or { "" }) do
    parts[i] = { path = name == "" and "." or name, namespace = name }
  end
  return parts
end

local given -- settings of a router that runs in the current folder

-- From now on every command works with these.
function folder.use(settings_in_force)
  given = settings_in_force
end

-- Where the router of this folder listens, also while its settings are broken.
function folder.socket(args)
  local s = given or folder.settings(args)
  return s and s.socket or SOCKET
end

-- Goes to the router's folder; settings with overrides, or nil, code, problem.
function folder.open(args)
  if given then return given end
  local where = args.directory or "."
  local ok, why = core.chdir(where)
  if not ok then
    return nil, folder.USAGE,
      ("no folder %s: %s. Give the router's folder with -C DIR"):format(where, why)
  end
  local loaded, problem = folder.settings(args)
  if not loaded then return nil, folder.USAGE, problem end
  return loaded
end

-- The same for what needs the store alone: where the settings are broken, a router that runs
-- here with older ones says where its store is.
function folder.open_store(args)
  local s, code, problem = folder.open(args)
  if s then return s end
  local answer = core.ask(SOCKET, '{"ask":"status"}')
  local store = answer and (args.store or answer[1].store)
  if not store then return nil, code, problem end
  io.stderr:write(("herald: %s\nherald: a router runs here with older settings; its store is %s\n"):format(
    problem, store))
  return { store = store, socket = SOCKET }
end

-- The number in a text, or nil and what is wrong.
function folder.whole_number(text, name, min, max)
  local number = math.tointeger(tonumber(text))
  if number and number >= min and number <= max then return number end
  return nil, ("%s is %q, but must be a whole number from %d to %d"):format(name, text, min, max)
end

return folder
