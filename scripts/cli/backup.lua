-- backup: the store copied whole, into a file.

local core = require "herald.core"
local folder = require "cli.folder"
local json = require "cli.json"
local show = require "cli.show"

local backup = {}

function backup.add(parser, common)
  local command = parser:command("backup", "Copy the store into a file, whole and of one moment, also while "
    .. "the router runs.")
  command:argument("file", "Where to; nothing may be there."):argname("FILE")
  command:flag("--json", "Print JSON.")
  common(command)
end

-- Says how far it has got, on a terminal.
local function progress()
  local watched, began = core.stderr_is_terminal(), os.time()
  return function(done, bytes)
    if not watched then return end
    local seconds = math.max(os.time() - began, 1)
    local left = done > 0 and (bytes - done) * seconds // done or 0
    io.stderr:write(("\rherald: %d of %d MiB, %d MiB/s, %s left "):format(done >> 20, bytes >> 20,
      (done // seconds) >> 20, show.age(left * 1000)))
    if done == bytes then io.stderr:write("\n") end
  end
end

-- What the copy has, in words, or why this herald cannot look into it.
local function contents(counts, why)
  return counts and ("%d pending, %d retries, %d dead letters"):format(counts.pending, counts.retries, counts.dead)
    or "of another version: " .. show.line(why, 400)
end

-- What the user calls a file, before the folder is changed.
function backup.path(file)
  return file:sub(1, 1) == "/" and file or core.getcwd() .. "/" .. file
end

-- Copies, and prints `words` and what the copy has. Returns code, problem as commands do.
function backup.copy(args, from, to, words)
  local bytes, kind, why = core.backup(from, to, progress())
  if not bytes then return folder.exit_code(kind), why end
  local counts, _, unreadable = core.counts(to)
  if args.json then
    io.stdout:write(json.encode(json.object { { "file", to }, { "bytes", bytes },
      { "pending", counts and counts.pending or json.null }, { "retries", counts and counts.retries or json.null },
      { "dead", counts and counts.dead or json.null } }), "\n")
  else
    io.stdout:write(("%s: %d KiB, checked; %s\n"):format(words, bytes // 1024, contents(counts, unreadable)))
  end
end

function backup.run(args)
  local file = backup.path(args.file)
  local s, code, problem = folder.open_store(args)
  if not s then return code, problem end
  return backup.copy(args, s.store, file, ("%s is copied to %s"):format(s.store, file))
end

return backup
