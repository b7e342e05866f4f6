-- watch: what `herald status --watch` draws again and again in the same place.

local watch = {}

local SEEN_MAX <const> = 40 -- looks whose rates are shown
local HEIGHTS <const> = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }
local COUNTERS <const> = { { "handled", "handled" }, { "sent", "confirmed" }, { "failed", "failed" },
  { "dead", "dead" } }

-- A bar for each number, the tallest for the largest.
function watch.bars(numbers)
  local most, bars = 0, {}
  for _, n in ipairs(numbers) do most = math.max(most, n) end
  for i, n in ipairs(numbers) do
    bars[i] = HEIGHTS[most > 0 and math.ceil(n / most * (#HEIGHTS - 1)) + 1 or 1]
  end
  return table.concat(bars)
end

-- Appends to `seen` what the counters ({name, number} each) are at a time in milliseconds. One
-- that is less than before is another router's: it begins anew.
function watch.note(seen, counters, now_ms)
  local look = { at = now_ms }
  for _, pair in ipairs(counters) do look[pair[1]] = pair[2] end
  local last = seen[#seen]
  if last and (look.turns or 0) < (last.turns or 0) then
    for i = #seen, 1, -1 do seen[i] = nil end
  end
  seen[#seen + 1] = look
  if #seen > SEEN_MAX + 1 then table.remove(seen, 1) end
end

-- {word, text} of each counter: how many a second, and how that went.
function watch.rates(seen)
  local list = {}
  for _, pair in ipairs(COUNTERS) do
    local rates = {}
    for i = 2, #seen do
      local ms = math.max(1, seen[i].at - seen[i - 1].at)
      rates[i - 1] = ((seen[i][pair[2]] or 0) - (seen[i - 1][pair[2]] or 0)) * 1000 / ms
    end
    list[#list + 1] = { pair[1], ("%8.1f/s  %s"):format(rates[#rates] or 0, watch.bars(rates)) }
  end
  return list
end

-- The text as it takes the place of the one before. Lines that are too long are cut by the terminal,
-- which afterwards is as it was (ECMA-48; xterm's control sequences: CUP, EL, ED, DECAWM).
function watch.frame(text)
  return "\27[H\27[?7l" .. text:gsub("\n", "\27[K\n") .. "\27[K\n\27[J\27[?7h"
end

return watch
