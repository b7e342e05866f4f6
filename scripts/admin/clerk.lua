-- clerk: answers what is asked over HTTP, in a process of its own that the router starts
-- (core/face/clerk.h). A question is a line of JSON and a body, an answer the same; its end is the
-- end of the input.
--
-- Commands are run as the command line runs them, but for this: store and socket are the router's, not
-- those that the folder names by now; what they print is kept; a body is the text itself, no name of a
-- file.

local core = require "herald.core"
local folder = require "cli.folder"
local json = require "cli.json"

package.loaded["cli.body"] = function(given) return given end

-- Status of HTTP by the kind of an error that the core tells.
local STATUS <const> = { config = 400, input = 400, missing = 404, busy = 503 }
local WHAT_NOW <const> = {
  [400] = "GET /v1/openapi.json says what it takes",
  [404] = "GET /v1/openapi.json names the paths, a listing its rows",
  [405] = "use a method of Allow",
  [409] = "look at its state, then ask again",
  [422] = "use another key for another request",
  [500] = "look whether it was done; the log may say more",
  [503] = "ask again in a second",
}

local kind -- of the last error that a command met
local exit_code = folder.exit_code

function folder.exit_code(of) -- luacheck: ignore
  kind = of
  return exit_code(of)
end

local paths = require "admin.paths"
local question = require "admin.question"

-- Without the dashes of options, and its line ends.
local function plain(problem)
  return (problem:gsub("%-%-(%l[%l%d-]*)", function(name) return (name:gsub("-", "_")) end):gsub("%s+$", ""))
end

local function error_json(status, what, where)
  return json.encode(json.object { { "error", json.object { { "what", what }, { "where", where },
    { "do", WHAT_NOW[status] } } } })
end

-- The option that a problem is about, as a request names it.
local function option(problem)
  local name = problem:match "^%-%-(%l[%l%d-]*)"
  return name and (name:gsub("-", "_"))
end

-- What a command prints, its exit code and its problem.
local function run(module, args)
  local out = {}
  local stdout, stderr = io.stdout, io.stderr
  io.stdout = { write = function(self, ...)
    for _, text in ipairs { ... } do out[#out + 1] = text end
    return self
  end }
  io.stderr = { write = function(self) return self end }
  local ok, code, problem = pcall(require(module).run, args)
  io.stdout, io.stderr = stdout, stderr
  if not ok then error(code, 0) end
  return table.concat(out):gsub("\n$", ""), code, problem
end

-- Status and JSON of what a command said.
local function judge(entry, out, code, problem)
  if not code and not problem or entry.shown and out ~= "" then return 200, out end
  if out ~= "" then return 409, out end
  local status = code == folder.USAGE and 400 or STATUS[kind or ""] or (kind and 500 or 409)
  return status, error_json(status, plain(problem or "it failed"), option(problem or ""))
end

-- What the words of a request say, or nil, what is wrong and where.
local function read_words(entry, asked)
  if entry.whole then return {} end
  if asked.method == "POST" then return question.of_body(entry.takes, asked.body) end
  return question.of_query(entry.takes, asked.query)
end

-- Status and JSON, and whether it was answered before.
local function answer(entry, asked, id)
  local args, bad, where = read_words(entry, asked)
  if not args then return 400, error_json(400, bad, where) end
  if entry.answers then
    local status, text, what, about = entry.answers(asked)
    status = status or STATUS[kind or ""] or 500
    if text then return status, text, what end
    return status, error_json(status, plain(what), about)
  end
  for from, to in pairs(entry.names or {}) do args[to], args[from] = args[from], nil end
  for name, value in pairs(entry.defaults or {}) do args[name] = args[name] or value end
  for name, value in pairs(entry.args or {}) do args[name] = value end
  args.id, args.json = id, true
  return judge(entry, run(entry.module, args))
end

local function allow_of(methods)
  return methods.POST and (methods.GET and "GET, HEAD, POST" or "POST") or "GET, HEAD"
end

-- The file has what a reload takes, and may be broken by now; the store and the socket are the router's.
local function settings_of(asked)
  local s = folder.settings {} or { history = asked.history }
  s.store, s.socket = asked.store, asked.socket
  return s
end

-- Status, JSON, and more for the line before it.
local function serve(asked)
  kind = nil
  local methods, id = paths.find(asked.path)
  if not methods then return 404, error_json(404, "there is no such path", asked.path) end
  local entry = methods[asked.method == "HEAD" and "GET" or asked.method]
  if not entry then
    return 405, error_json(405, "this path has no " .. asked.method, asked.path), { "allow", allow_of(methods) }
  end
  folder.use(settings_of(asked))
  local status, text, replayed = answer(entry, asked, id)
  return status, text, replayed and { "replayed", true } or nil
end

-- The next question; nil: there is none.
local function read()
  local line = io.stdin:read "l"
  local head = line and core.json_look(line, 1)
  if not head then return nil end
  local asked = {}
  for name, member in pairs(head.value) do asked[name] = member.value end
  asked.body = asked.length > 0 and io.stdin:read(asked.length) or ""
  return #asked.body == asked.length and asked or nil
end

local function write(status, text, more)
  io.stdout:write(json.encode(json.object { { "status", status }, { "length", #text }, more or {} }), "\n", text)
  io.stdout:flush()
end

-- Works until nobody asks any more; returns the exit code.
return function()
  core.yield_to_router()
  for asked in read do
    local ok, status, text, more = pcall(serve, asked)
    if not ok then status, text, more = 500, error_json(500, "herald's own fault: " .. tostring(status)), nil end
    write(status, text, more)
  end
  return 0
end
