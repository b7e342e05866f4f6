-- paths: what can be asked over HTTP, and which command of the command line answers it. docs/openapi.json
-- describes the same, and tests hold the two together.
--
-- paths.find(path) gives {GET or POST = entry} and the id that stands in it. An entry has
--   module, args   whose run(args) answers, as the command line would call it
--   takes          {name = kind}: what a query string or a body may say (question.lua)
--   defaults       of args that were not said
--   answers        a function of the question instead of a command; whole: it reads all of that itself
--   shown          its JSON is the answer, even where the command calls it a failure

local live = require "admin.live"

local KINDS <const> = { type = "text", key1 = "text", order_type = "text", key3 = "text", message_id = "text" }
local TIMES <const> = { since = "text", before = "text" }
local AGES <const> = { older_than = "text", newer_than = "text" }
local PAGE <const> = { limit = "limit", after = "number" }
local WHICH <const> = { ids = "ids", all = "flag", limit = "number", dry_run = "flag" }

local function joined(...)
  local all = {}
  for _, list in ipairs { ... } do
    for name, kind in pairs(list) do all[name] = kind end
  end
  return all
end

local HISTORY <const> = joined(KINDS, TIMES, { queue = "text", side = "side" })
local ROWS <const> = joined(KINDS, TIMES, AGES, { error = "text" })
local filters <const> = {
  outbox = joined(ROWS, { lane = "text" }),
  retries = joined(ROWS, { queue = "text" }),
  dead = joined(ROWS, { queue = "text", side = "side", group = "text" }),
}

local all = {}

local function add(method, path, entry)
  all[path] = all[path] or {}
  all[path][method] = entry
  entry.takes = entry.takes or {}
end

local function command(name, action, takes, defaults)
  return { module = "cli." .. name, args = { action = action }, takes = takes, defaults = defaults }
end

for name, takes in pairs(filters) do
  add("GET", "/v1/" .. name, command(name, "list", joined(takes, PAGE), { limit = "100", after = "0" }))
  add("GET", "/v1/" .. name .. "/ID", command(name, "show"))
end
for path, name in pairs { ["outbox/retry"] = "outbox", ["outbox/drop"] = "outbox", ["retries/now"] = "retries",
  ["retries/drop"] = "retries", ["dead/replay"] = "dead", ["dead/drop"] = "dead" } do
  add("POST", "/v1/" .. path, command(name, path:match "[^/]+$", joined(filters[name], WHICH)))
end

add("GET", "/v1/status", command("status"))
add("GET", "/v1/dead/groups", command("dead", "groups", { limit = "limit" }, { limit = "100" }))
add("GET", "/v1/lanes", command("lanes", "list", { limit = "limit" }, { limit = "100" }))
add("GET", "/v1/history", command("history", "list", joined(HISTORY, PAGE), { limit = "100", after = "0" }))
add("GET", "/v1/history/ID", command("history", "show"))
add("GET", "/v1/trace", { module = "cli.trace", takes = joined(KINDS, TIMES), shown = true })
add("GET", "/v1/version", { module = "cli.commands", args = { command = "version" } })

add("POST", "/v1/outbox/cancel", command("outbox", "cancel", { key = "text!" }))
add("POST", "/v1/lanes/release", command("lanes", "release", { head = "head!", ids = "ids!" }))
add("POST", "/v1/dead/ID/edit", command("dead", "edit", { body = "json", type = "text", key1 = "text",
  key2 = "text", key3 = "text", headers = "headers", dry_run = "flag" }))
add("POST", "/v1/reload", { module = "cli.reload", takes = { dry_run = "flag", trial = "number" } })
add("POST", "/v1/trial", { module = "cli.reload", args = { dry_run = true }, takes = { messages = "number" },
  defaults = { trial = "100" }, names = { messages = "trial" } })
add("GET", "/v1/rules", { answers = live.rules })
add("GET", "/v1/settings", { answers = live.settings })
add("GET", "/v1/pause", command "pause")
for _, name in ipairs { "pause", "resume" } do
  add("POST", "/v1/" .. name, command(name, nil, { what = "text!" }))
end
add("POST", "/v1/messages", { answers = require "admin.messages", whole = true })

local paths = { all = all }

function paths.find(path)
  if all[path] and not path:find "%u" then return all[path] end
  local before, id, after = path:match "^(/v1/%l+/)(%d+)(.*)$"
  local found = id and #id <= 18 and all[before .. "ID" .. after]
  return found or nil, id
end

return paths
