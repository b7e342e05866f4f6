-- What the doctor finds of the broker: who is reached as whom, with which rights, and its queues.

local core = require "herald.core"
local folder = require "cli.folder"

local broker = {}

-- As whom a URL logs in.
local function user_of(url)
  return url:match "^amqps?://([^:@/]+)[:@]" or (url:match "^amqps?://[^/]*@" and "" or "guest")
end

-- Never with what may be a password.
local function place_of(url)
  return (url:gsub("^(amqps?://)[^/@]*@", "%1"))
end

-- {files that it would use are no good} end a try before it begins.
local function judge_files(s, found)
  local usable = true
  for _, said in ipairs(core.judge_credentials(s)) do
    found:add(said.severity, "credentials", "herald.lua", said.text, "docs/operations.md#tls")
    usable = usable and said.severity ~= "error"
  end
  return usable
end

-- What rules declare, compared with what the broker has; the store is left alone.
local function look(s)
  local only = {}
  for name, value in pairs(s) do only[name] = value end
  only.store = "herald.lua/none" -- nothing can be there
  only.folders, only.live = folder.parts(s), true
  return core.inspect_rules(only)
end

local ADVICE <const> = {
  error = "`herald check --live` says the same with its place; for a right: rabbitmqctl set_permissions",
  warning = "`herald check --live` says the same with its place",
  note = "nothing, where it is meant so",
}

function broker.judge(s, found, versions)
  if s.broker == "embedded" then
    found:add("ok", "broker", "embedded", "is part of the store")
    return
  end
  local where = place_of(s.broker)
  if not judge_files(s, found) then return end
  local rules, _, why = look(s)
  if not rules then
    found:add("error", "broker", where, why, "mend what it says, and ask again")
    return
  end
  if rules.rules_error or rules.migrations_error then
    found:add("warning", "rules", "herald.lua", "they do not load, so the broker was not asked for what they need",
      "herald check")
    return
  end
  if rules.live_error then
    found:add("error", "broker", where, ("as user %s: %s"):format(user_of(s.broker), rules.live_error),
      "look whether it runs (rabbitmq-diagnostics status), and at user, password and virtual host in `broker`")
  end
  if rules.server ~= "" then
    found:add("ok", "broker", where, ("%s, reached as user %s"):format(rules.server, user_of(s.broker)))
    versions.broker(rules.server, where, found)
  end
  for _, said in ipairs(rules.live) do
    found:add(said.severity, "broker", said.origin ~= "" and said.origin or where, said.text, ADVICE[said.severity])
  end
end

return broker
