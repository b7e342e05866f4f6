-- helper: stands in for herald.core, which only the binary has.
--
-- require "helper" before anything under scripts/cli. Texts and durations work as in the
-- binary; what needs a store or a router records the call and answers what a spec put
-- into helper.answers.

local helper = { answers = {}, calls = {} }

local core = { version = "1.2.3", libraries = { sqlite = "3.40.1" } }

local units = { ms = 1, s = 1000, m = 60000, h = 3600000, d = 86400000 }

function core.duration(text)
  local number, unit = text:match("^(%d+)(%a+)$")
  return number and units[unit] and math.tointeger(tonumber(number)) * units[unit]
end

function core.broker_url(text)
  if text:match "^amqps?://[^/]" then return true end
  return nil, "broker URL: it must start with amqp:// or amqps://"
end

function core.utc(text)
  return text == "2026-01-31T12:00:00Z" and 1769860800000 or text == "1970-01-01T00:00:00Z" and 0 or nil
end

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

function core.json_string(text)
  return '"' .. text:gsub('[%c"\\]', function(c)
    return escapes[c] or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

function core.base64(bytes)
  local text = bytes:gsub("..?.?", function(group)
    local a, b, c = group:byte(1, 3)
    local bits = a << 16 | (b or 0) << 8 | (c or 0)
    local four = ""
    for shift = 18, 0, -6 do
      local at = (bits >> shift & 63) + 1
      four = four .. digits:sub(at, at)
    end
    return four:sub(1, #group + 1) .. ("="):rep(3 - #group)
  end)
  return text
end

-- Specs stay where they are; the folder is recorded.
function core.chdir(path)
  helper.calls[#helper.calls + 1] = { "chdir", path }
  if helper.answers.chdir then return table.unpack(helper.answers.chdir, 1, 3) end
  return true
end

local no_router = { ask = { nil, "nobody listens" }, router_pid = { 0 }, inspect_rules = {} }

for _, name in ipairs { "run", "emit", "counts", "router_pid", "ask", "inspect_rules",
  "dead_list", "dead_get", "dead_groups", "dead_replay", "dead_drop", "dead_edit", "outbox_list",
  "outbox_get", "outbox_retry", "outbox_drop", "outbox_cancel", "retries_list", "retries_get", "retries_now", "retries_drop",
  "lanes_list", "lanes_release_retry", "lanes_release_letter", "lanes_release_row",
  "history_list", "history_get" } do
  core[name] = function(...)
    helper.calls[#helper.calls + 1] = { name, ... }
    local answer = helper.answers[name] or no_router[name]
    assert(answer, "no answer for core." .. name)
    return table.unpack(answer, 1, 3)
  end
end

function core.sleep() end

function core.stderr_is_terminal()
  return helper.answers.terminal or false
end

package.loaded["herald.core"] = core
helper.core = core

function helper.reset()
  helper.answers, helper.calls = {}, {}
end

-- The arguments of the last call of a function; nil when there was none.
function helper.call(name)
  for i = #helper.calls, 1, -1 do
    if helper.calls[i][1] == name then return table.unpack(helper.calls[i], 2) end
  end
end

-- Runs the command line; returns exit code, stdout and stderr.
function helper.herald(...)
  local saved = _G.arg
  _G.arg = { [0] = "herald", ... }
  local results, out, err = helper.caught(dofile, (assert(package.searchpath("cli.main", package.path))))
  _G.arg = saved
  return results[1], out, err
end

-- Calls fn while io.stdout and io.stderr are caught; returns its results in a table, and
-- both texts.
function helper.caught(fn, ...)
  local stdout, stderr, texts = io.stdout, io.stderr, { {}, {} }
  for i, name in ipairs { "stdout", "stderr" } do
    io[name] = { write = function(_, ...)
      for _, text in ipairs { ... } do table.insert(texts[i], tostring(text)) end
    end }
  end
  local results = table.pack(pcall(fn, ...))
  io.stdout, io.stderr = stdout, stderr
  if not results[1] then error(results[2], 0) end
  return { table.unpack(results, 2, results.n) }, table.concat(texts[1]), table.concat(texts[2])
end

-- Writes herald.lua where settings.load and the commands look for it; without a text
-- there is none. Undone by the function that is returned.
function helper.with_herald_lua(text)
  local open = io.open
  io.open = function(path, mode)
    if path ~= "herald.lua" then return open(path, mode) end
    if not text then return nil, "herald.lua: No such file or directory", 2 end
    local file = io.tmpfile()
    file:write(text)
    file:seek("set")
    return file
  end
  return function() io.open = open end
end

return helper
