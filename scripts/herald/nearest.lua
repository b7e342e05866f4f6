-- nearest: the known word that somebody probably meant.
--
--   local nearest = require "herald.nearest"
--   nearest("qeue", { "queue", "from" })  --> "queue"
--
-- Distance is Damerau-Levenshtein's (a swap of neighbours is one slip), over words
-- without case, "_" and "-", so that businessKey1 finds business_key1.

local function bare(word)
  return (word:lower():gsub("[_%-]", ""))
end

local function distance(a, b)
  local before, previous = nil, {}
  for j = 0, #b do previous[j] = j end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      row[j] = math.min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + cost)
      if before and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], before[j - 2] + 1)
      end
    end
    before, previous = previous, row
  end
  return previous[#b]
end

-- A third of the word may be wrong, and never more than three letters.
local function tolerance(word)
  return math.min(3, math.max(1, #word // 3))
end

-- "execute" for "exec": one word is the beginning of the other.
local function begins(a, b)
  if #a > #b then a, b = b, a end
  return #a >= 3 and b:sub(1, #a) == a
end

local WORD_MAX = 64

-- `slips`: letters that are wrong, and nothing else: "x-max-length-foo" is a name of its own.
local function nearest(word, known, slips)
  local best, best_distance
  if type(word) ~= "string" or #word > WORD_MAX then return nil end
  local wanted = slips and word:lower() or bare(word)
  for _, candidate in ipairs(known) do
    local known_word = slips and candidate or bare(candidate)
    local d = distance(wanted, known_word)
    if not slips and d > 1 and begins(wanted, known_word) then d = 1 end
    local shared = d < math.max(#wanted, #known_word) -- else no letter is where it should be
    if shared and d <= tolerance(candidate) and (not best or d < best_distance) then
      best, best_distance = candidate, d
    end
  end
  return best
end

return nearest
