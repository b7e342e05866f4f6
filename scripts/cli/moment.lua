-- moment: times as people write them after --since and --before.

local core = require "herald.core"
local show = require "cli.show"

local moment = {}

-- Days from 1970-01-01 to a day of the Gregorian calendar.
local function days(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + day - 719469
end

local DATE <const> = "^(%d%d%d%d)%-(%d%d)%-(%d%d)"
local TIMES <const> = { DATE .. "$", DATE .. "[T ](%d%d):(%d%d)Z?$", DATE .. "[T ](%d%d):(%d%d):(%d%d)Z?$",
  DATE .. "[T ](%d%d):(%d%d):(%d%d)%.(%d%d%d)Z?$" }

-- Milliseconds since 1970 of a time in UTC; nil when the text is none, such as February 30.
local function read_time(text)
  for _, pattern in ipairs(TIMES) do
    local year, month, day, h, m, s, ms = text:match(pattern)
    if year then
      local at = days(math.tointeger(year), math.tointeger(month), math.tointeger(day)) * 86400000
        + (h or 0) * 3600000 + (m or 0) * 60000 + (s or 0) * 1000 + (ms or 0)
      local same = ("%s-%s-%sT%s:%s:%s.%sZ"):format(year, month, day, h or "00", m or "00", s or "00",
        ms or "000")
      at = math.tointeger(at)
      return show.time(at) == same and at or nil
    end
  end
end

-- The moment that a text names, never 0, which would be none; or nil and what is wrong. `option` is
-- the word before it.
function moment.read(text, option)
  local ago = core.duration(text)
  local at = ago and os.time() * 1000 - ago or read_time(text)
  if at then return math.max(at, 1) end
  return nil, ("%s is %q, but must be a time such as 2025-01-31 or 2025-01-31T10:00:00Z (UTC), or a "
    .. "duration such as 15m, 24h or 7d"):format(option, text)
end

return moment
