-- What the doctor finds in the store's file, without changing it.

local core = require "herald.core"
local show = require "cli.show"

local store = {}

local PROBLEMS_MAX <const> = 20 -- of each kind that are told
local CLOCK_MS <const> = 5000 -- a clock may step so far

-- What to do about a store that cannot be opened, by the word of its error.
local OPENING <const> = {
  ["not found"] = "`herald run` and `herald emit` make it; give the router's folder with -C DIR, or the store with "
    .. "--store",
  busy = "another process keeps everybody else out: `fuser -v` on the file names it; end it or let it finish",
  ["damaged store"] = "end all that use it, keep a copy of it with its -wal, and put back a backup (herald restore)",
  ["input/output error"] = "run this as the user that herald runs as; on a read-only file system the store's folder "
    .. "must have been closed in good order",
}

-- Says that it works, to who watches.
local function ticker(bytes)
  local watched, began, said = core.stderr_is_terminal(), os.time(), 0
  return function()
    local now = os.time()
    if not watched or now == said then return end
    said = now
    io.stderr:write(("\rherald: checking %d MiB, for %s "):format(bytes >> 20, show.age((now - began) * 1000)))
  end, function()
    if said > 0 then io.stderr:write("\r\27[K") end
  end
end

local function number(survey, sql)
  local list = core.survey_read(survey, sql)
  return list and list[1] and math.tointeger(tonumber(list[1][1])) or nil
end

local function judge_pages(survey, path, args, found)
  local bytes = (number(survey, "pragma page_count") or 0) * (number(survey, "pragma page_size") or 0)
  local tick, finish = ticker(bytes)
  local check = args.full and "integrity_check" or "quick_check"
  local list, word, why = core.survey_read(survey, ("pragma %s(%d)"):format(check, PROBLEMS_MAX), tick)
  finish()
  if not list then
    found:add("error", "integrity", path, why, OPENING[word] or "mend what it says, and ask again")
    return
  end
  if #list == 1 and list[1][1] == "ok" then
    found:add("ok", "integrity", path, ("%s of %d KiB says ok"):format(check, bytes // 1024))
    return
  end
  for _, row in ipairs(list) do
    found:add("error", "integrity", path, show.line(row[1] or "damaged", 300), OPENING["damaged store"])
  end
end

local function judge_references(survey, path, found)
  local tick, finish = ticker(0)
  local list, _, why = core.survey_read(survey, ([[select "table", rowid, parent from pragma_foreign_key_check
    limit %d]]):format(PROBLEMS_MAX), tick)
  finish()
  if not list then
    found:add("error", "foreign keys", path, why, "mend the tables that it names")
    return
  end
  for _, row in ipairs(list) do
    found:add("warning", "foreign keys", ("%s, row %s"):format(show.line(row[1], 80), row[2] or "?"),
      ("refers to a row of %s that is not there"):format(show.line(row[3] or "?", 80)),
      "delete the row, or write the one that it refers to: a handler that touches it will fail")
  end
end

-- Its version of herald's tables; nil: it is no store of herald's.
local function judge_version(survey, path, found)
  local version = number(survey, "select value from herald_meta where key = 'schema_version'")
  if not version then
    found:add("error", "store", path, "is not a store of herald's", "name the router's store with --store, or let "
      .. "`store` in herald.lua say it")
  elseif version > core.schema_newest then
    found:add("error", "store", path, ("has schema version %d; this is herald %s, which knows versions up to %d")
      :format(version, core.version, core.schema_newest), "use the newer herald, or restore the backup that was made "
      .. "before the upgrade")
  elseif version < core.schema_newest then
    found:add("warning", "store", path, ("has schema version %d, and this herald needs %d"):format(version,
      core.schema_newest), "make a backup, then `herald run` of this herald upgrades it when it starts")
  else
    found:add("ok", "store", path, ("schema version %d"):format(version))
  end
  return version
end

local NEWEST <const> = {
  { "outbox", "select created_at from herald_outbox order by id desc limit 1" },
  { "dead letters", "select at from herald_dead order by id desc limit 1" },
  { "history", "select at from herald_history order by id desc limit 1" },
}

local function judge_clock(survey, path, found)
  local now, newest, where = os.time() * 1000, 0, nil
  for _, look in ipairs(NEWEST) do
    local at = number(survey, look[2]) or 0
    if at > newest then newest, where = at, look[1] end
  end
  for _, side in ipairs { path, path .. "-wal" } do
    local st = core.stat(side)
    if st and st.modified_ms > newest then newest, where = st.modified_ms, "file's time of " .. side end
  end
  if newest > now + CLOCK_MS then
    found:add("error", "clock", path, ("this machine's clock is %s behind the newest %s (%s)"):format(
      show.age(newest - now), where, show.second(newest)), "set the clock (timedatectl, chronyc tracking): what is "
      .. "due waits for it")
  else
    found:add("ok", "clock", path, "is not behind the newest row and file")
  end
end

-- Looks at all of it; `args.full`: each index, too.
function store.judge(path, args, found)
  local survey, word, why = core.survey_open(path)
  if not survey then
    found:add("error", "store", path, why, OPENING[word] or "mend what it says, and ask again")
    return
  end
  local version = judge_version(survey, path, found)
  judge_pages(survey, path, args, found)
  if version then
    judge_references(survey, path, found)
    judge_clock(survey, path, found)
  end
  core.survey_close(survey)
end

return store
