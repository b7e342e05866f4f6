-- retry: how long a policy goes on.

local retry = {}

local SECOND <const>, DAY <const> = 1000, 24 * 3600 * 1000
local LONG <const> = 30 * DAY
local MANY <const> = 100000

-- Milliseconds from the first try to the last one, when all of them fail (core/engine/policy.c
-- says how a delay comes about).
function retry.total(p)
  local sum, tries = 0, p.attempts - 1
  for i = 1, math.min(tries, #p.delays) do sum = sum + math.min(p.delays[i], p.max_delay) end
  local delay, left = p.delays[#p.delays], tries - #p.delays
  while left > 0 do
    delay = delay * p.factor
    if p.factor <= 1 or delay >= p.max_delay or delay == 0 then
      sum = sum + left * math.min(delay, p.max_delay)
      break
    end
    sum, left = sum + delay, left - 1
  end
  if p.max_age > 0 then sum = math.min(sum, p.max_age) end
  return sum
end

function retry.words(ms)
  if ms >= 2 * 365 * DAY then return ("%.0f years"):format(ms / (365 * DAY)) end
  if ms >= 2 * DAY then return ("%.0f days"):format(ms / DAY) end
  return ("%.0f seconds"):format(ms / SECOND)
end

-- What is wrong with a policy, or nil.
function retry.problem(p)
  local total = retry.total(p)
  if total > LONG then
    return ("a message that always fails is tried for %s (%d attempts) before it is a dead letter: "
      .. "give fewer attempts or a max_age"):format(retry.words(total), p.attempts)
  end
  if p.attempts >= MANY and p.max_age == 0 then
    return ("a message that always fails is tried %d times, within %s: give fewer attempts, a longer "
      .. "delay or a max_age"):format(p.attempts, retry.words(total))
  end
end

local function same(a, b)
  if #a.delays ~= #b.delays then return false end
  for i, delay in ipairs(a.delays) do
    if delay ~= b.delays[i] then return false end
  end
  return a.attempts == b.attempts and a.factor == b.factor and a.max_delay == b.max_delay
    and a.max_age == b.max_age
end

-- A policy of the settings, and where it stands. True when it is no good.
function retry.judge_setting(p, place, found)
  local problem = retry.problem(p)
  if problem then found:warn(place, problem) end
  return problem ~= nil
end

-- Policies of the settings, the subscriptions and the handlers.
-- (`place` is where the settings' own stands.)
function retry.judge(rules, default, place, found)
  local told = retry.judge_setting(default, place, found)
  for _, list in ipairs { rules.subscriptions, rules.handlers } do
    for _, rule in ipairs(list) do
      local problem = rule.retry and not (told and same(rule.retry, default))
        and retry.problem(rule.retry)
      if problem then found:warn(found.place(rule.origin), problem) end
    end
  end
end

return retry
