-- live: what a running router says of itself.

local core = require "herald.core"

local live = {}

-- "paused" in the router's answer: see put_paused in core/face/router.c.
local function read_paused(value)
  local failures, since, next_probe, queue, error_text =
    value:match("^(%d+)\t(%d+)\t(%d+)\t([^\t]*)\t(.*)$")
  return { failures = math.tointeger(tonumber(failures)), since = math.tointeger(tonumber(since)),
    next_probe = math.tointeger(tonumber(next_probe)), queue = queue, error = error_text }
end

-- "trouble": see put_troubles.
local function read_trouble(value)
  local what, name, why = value:match("^([^\t]*)\t([^\t]*)\t(.*)$")
  return { what = what, name = name, why = why }
end

-- Its answer as a table; `s` has the settings store and socket. Of a store that no router runs on:
-- {running = false, ...}.
function live.ask(s)
  local pid = core.router_pid(s.store)
  local said = { running = pid ~= 0, state = "stopped", broker_state = "stopped", counters = {},
    paused = {}, troubles = {} }
  if pid == 0 then return said end
  local answer, why = core.ask(s.socket, "status")
  if not answer then
    said.state, said.broker_state = "running, but it does not answer: " .. why, "unknown"
    return said
  end
  for key, value in answer:gmatch("([%w_.]+)\t([^\n]*)\n") do
    local counter = key:match("^counter%.(.+)")
    local number = math.tointeger(tonumber(value))
    if counter then
      said.counters[#said.counters + 1] = { counter, number }
    elseif key == "paused" then
      said.paused[#said.paused + 1] = read_paused(value)
    elseif key == "trouble" then
      said.troubles[#said.troubles + 1] = read_trouble(value)
    elseif key == "ready" then
      said.ready = value == "true"
    elseif key == "hash" then
      said.hash = value
    elseif key == "rules_wait" then
      if value ~= "" then said.rules_wait = value end
    elseif key == "rules_error" then
      if value ~= "" then said.rules_error = value end
    else
      said[key] = number or value
    end
  end
  return said
end

return live
