-- What the doctor finds around the store: disk, rights, the control socket.

local core = require "herald.core"

local place = {}

local MIB <const> = 1 << 20
local LOW <const>, LITTLE <const> = 32 * MIB, 256 * MIB
local WAL_LARGE <const> = 64 * MIB
local OTHERS <const>, ANYBODY <const> = 7, 63 -- bits of a mode

local function folder_of(path)
  local above = path:match "^(.*)/[^/]*$"
  return above == nil and "." or above == "" and "/" or above
end

function place.disk(path, found)
  local at = folder_of(path)
  local disk, why = core.disk(at)
  if not disk then
    found:add("error", "disk", at, why, "make the store's folder, with the rights of the user that herald runs as")
    return
  end
  local free = ("%d MiB of %d MiB are free"):format(disk.free // MIB, disk.total // MIB)
  if disk.read_only then
    found:add("error", "disk", at, "the file system is read-only", "mount it writable; dmesg says why it is not")
  end
  if disk.free < LOW then
    found:add("error", "disk", at, free, "free some space: store and WAL need it, and nothing is acked or sent without")
  elseif disk.free < LITTLE and disk.free < disk.total // 5 then
    found:add("warning", "disk", at, free, "free some space before it runs out")
  else
    found:add("ok", "disk", at, free)
  end
  if disk.inodes > 0 and disk.inodes_free < 100 then
    found:add("error", "disk", at, ("%d inodes are free"):format(disk.inodes_free),
      "delete files: SQLite makes some beside the store")
  end
  local wal = core.stat(path .. "-wal")
  if wal and wal.size > WAL_LARGE then
    found:add("warning", "disk", path .. "-wal", ("has grown to %d MiB"):format(wal.size // MIB),
      "start the router, which empties it; where it runs, `herald status` says who holds it open")
  end
end

-- A file that only its owner is to read.
local function judge_secret(path, what, mask, found)
  local st = core.stat(path)
  if st and st.mode & mask & 36 ~= 0 then -- r--r--
    found:add("warning", "rights", path, ("%s, and others can read it (mode %03o)"):format(what, st.mode),
      "chmod go-rwx " .. path)
  end
end

local function judge_writable(path, what, found)
  local st = core.stat(path)
  if st and not st.writable then
    found:add("error", "rights", path, what .. " cannot be written by this user",
      "run this as the user that herald runs as, or give the folder to it (chown)")
  end
end

-- `s`: the settings.
function place.rights(s, found)
  if core.user == 0 then
    found:add("note", "rights", ".", "asked as root, who may do everything",
      "ask as the user that herald runs as: sudo -u herald herald ... doctor")
  end
  judge_writable(folder_of(s.store), "the store's folder", found)
  for _, side in ipairs { "", "-wal", "-shm", "-epoch", "-lock" } do
    local path = s.store .. side
    judge_writable(path, "it", found)
    local st = core.stat(path)
    if st and st.mode & OTHERS ~= 0 then
      found:add("warning", "rights", path, ("messages are in it, and everybody may read or write it (mode %03o)")
        :format(st.mode), "chmod o-rwx " .. path)
    end
  end
  if s.password_file then judge_secret(s.password_file, "the broker's password is in it", ANYBODY, found) end
  if s.tls and s.tls.key then judge_secret(s.tls.key, "it is a private key", ANYBODY, found) end
  if s.broker and s.broker:match "^amqps?://[^/@]*:[^/@]+@" and not s.password_file then
    judge_secret("herald.lua", "a password is in the URL of the broker", OTHERS, found)
  end
end

function place.socket(s, found)
  local path, pid = s.socket, core.router_pid(s.store)
  local there = core.stat(path)
  if there and not there.socket then
    found:add("error", "socket", path, "something is there that is no socket", "move it away, or set `socket`")
    return
  end
  local answer, why = core.ask(path, '{"ask":"status"}')
  local silent = not answer and why:match "^no router listens" ~= nil
  if pid ~= 0 and answer then
    found:add("ok", "router", path, ("process %d answers"):format(pid))
  elseif pid ~= 0 then
    found:add("error", "router", path, ("process %d has the store, and does not answer: %s"):format(pid, why),
      there and "wait for its step to end, or look into its log" or
        "it was started with another `socket`, or the file was deleted: start it again")
  elseif answer then
    found:add("warning", "router", path, "a router answers, and it is not the one of this store",
      "let `store` and --store name the same store as the router's herald.lua")
  elseif there and not silent then
    found:add("warning", "socket", path, "what is there is no router of this store: " .. why,
      "find it (ss -lxp) and end it, or set `socket`")
  elseif there then
    found:add("note", "socket", path, "is left of a router that is gone", "nothing: the next start takes its place")
  else
    found:add("note", "router", path, "none runs", "start it: herald run")
  end
  if there and there.mode & OTHERS ~= 0 then
    found:add("warning", "rights", path, ("everybody may command the router (mode %03o)"):format(there.mode),
      "chmod o-rwx " .. path)
  end
end

return place
