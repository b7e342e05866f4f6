-- due: the words --delay, --at and --key of a row: when it goes out, and the name by which it
-- is replaced and cancelled. The rules are those of tx:emit.

local core = require "herald.core"
local show = require "cli.show"

local due = {}

local KEY_MAX <const> = 255
local MS_MIN <const> = 100000000000 -- whole numbers below are seconds
local TIME_MAX <const> = 253402300799999 -- the end of the year 9999

local function shown(text)
  return show.line(text, 60)
end

local function read_at(text)
  local ms
  if text:match "^%d+$" then
    ms = math.tointeger(tonumber(text))
    if ms and ms > 0 and ms < MS_MIN then
      return nil, ('--at is "%s", which is a time in seconds; it takes milliseconds since 1970 (times 1000)')
        :format(text)
    end
  else
    ms = core.utc(text)
    ms = ms and math.max(ms, 1) -- 0 would be at once
  end
  if ms and ms > 0 and ms <= TIME_MAX then return ms end
  return nil, ('--at is "%s", but must be a time such as 2026-01-31T12:00:00Z or 2026-01-31T20:00:00+08:00, or ms since 1970, '
    .. "above 0 and before the year 10000"):format(shown(text))
end

local function read_delay(text)
  local ms = core.duration(text)
  if ms then return ms end
  return nil, ('--delay is "%s", but must be a whole number with ms, s, m, h or d, such as 15m, '
    .. "of 100 years at most"):format(shown(text))
end

-- Nil, or what is wrong with a key; `name` is what the user calls it.
function due.bad_key(key, name)
  if key == "" then return ("%s is empty; it has 1 to %d bytes"):format(name, KEY_MAX) end
  if #key > KEY_MAX then return ("%s is longer than %d bytes"):format(name, KEY_MAX) end
  if not utf8.len(key) then return name .. " is not UTF-8 text" end
end

-- Sets at, delay (both in ms) and key in `row`, or returns what is wrong.
function due.read(args, row)
  local bad
  if args.delay and args.at then return "--delay and --at exclude each other" end
  if args.delay then row.delay, bad = read_delay(args.delay) end
  if args.at then row.at, bad = read_at(args.at) end
  if args.key then bad = bad or due.bad_key(args.key, "--key") end
  if bad then return bad end
  row.key = args.key
end

return due
