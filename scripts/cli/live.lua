-- live: what a running router says of itself.

local core = require "herald.core"

local live = {}

-- Its answer as a table; `s` has the settings store and socket. Of a store that no router runs on:
-- {running = false, ...}.
function live.ask(s)
  local pid = core.router_pid(s.store)
  local said = { running = pid ~= 0, state = "stopped", broker_state = "stopped", counters = {},
    paused = {}, troubles = {} }
  if pid == 0 then return said end
  local answer, why = core.ask(s.socket, '{"ask":"status"}')
  if not answer then
    said.state, said.broker_state = "running, but it does not answer: " .. why, "unknown"
    return said
  end
  for name, value in pairs(answer[1]) do said[name] = value end
  if said.rules_wait == "" then said.rules_wait = nil end
  if said.rules_error == "" then said.rules_error = nil end
  return said
end

return live
