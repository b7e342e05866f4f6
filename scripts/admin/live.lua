-- live: what the router that runs is asked alone: no command prints it. Each gives status and JSON; or
-- status, nil and what is wrong.

local core = require "herald.core"
local json = require "cli.json"
local router = require "cli.live"

local live = {}

-- JSON of a value that the router told; members of objects in order of their names.
local function told(value)
  if type(value) ~= "table" then return value end
  local out, names = {}, {}
  for i, item in ipairs(value) do out[i] = told(item) end
  if #out > 0 then return out end
  for name in pairs(value) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do out[i] = { name, told(value[name]) } end
  return json.object(out)
end

function live.settings(asked)
  local answer, why = core.ask(asked.socket, '{"ask":"settings"}')
  if not answer then return 503, nil, why end
  return 200, json.encode(told(answer[1]))
end

function live.rules(asked)
  local said = router.ask(asked)
  if not said.generation then return 503, nil, said.state end
  return 200, json.encode(json.object {
    { "generation", said.generation }, { "hash", said.hash }, { "error", said.rules_error or json.null },
    { "waiting", said.rules_wait or json.null }, { "routes", said.routes },
    { "subscriptions", said.subscriptions }, { "handlers", said.handlers }, { "memory", said.script_memory },
  })
end

return live
