-- restore: a backup becomes the store.

local core = require "herald.core"
local backup = require "cli.backup"
local folder = require "cli.folder"

local restore = {}

-- Of a former store: a WAL that is left would be taken for the backup's own.
local SIDES <const> = { "", "-wal", "-shm", "-journal" }

function restore.add(parser, common)
  local command = parser:command("restore", "Put a backup in the place of the store, of which nothing may be left "
    .. "there.")
  command:argument("file", "The backup."):argname("FILE")
  command:flag("--json", "Print JSON.")
  common(command)
end

-- Why this herald could not start on a backup; nil: it could, as far as its version goes.
local function too_new(file)
  local counts, _, why = core.counts(file)
  local version = not counts and why:match "has schema version (%d+)"
  return version and math.tointeger(version) > core.schema_newest and why or nil
end

function restore.run(args)
  local file = backup.path(args.file)
  local s, code, problem = folder.open(args)
  if not s then return code, problem end
  if not core.kind(file) then return folder.FAILED, ("there is no backup at %s"):format(file) end
  for _, side in ipairs(SIDES) do
    if core.kind(s.store .. side) then
      return folder.USAGE, ("%s is there still: stop the router and whoever has the store open, and move it "
        .. "away with all that is named after it"):format(s.store .. side)
    end
  end
  local newer = too_new(file)
  if newer then return folder.USAGE, newer end
  code, problem = backup.copy(args, file, s.store, ("%s is put back as %s"):format(file, s.store))
  if not code and not args.json then
    io.stdout:write("Start the router before any program writes to it: it begins a new epoch, so that no id is ",
      "given twice. What is pending goes out again with its old ids, and what happened after the backup is not in ",
      "it.\n")
  end
  return code, problem
end

return restore
