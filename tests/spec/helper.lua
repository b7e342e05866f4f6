-- helper: the command line in a folder of its own, on the binary's own herald.core.
--
--   helper.enter('return { store = "shop.db" }')           -- a new folder with this herald.lua
--   helper.add("herald_dead", { id = 1, error = "no" })    -- a row of shop.db
--   local code, out, err = helper.herald("dead", "list")
--   helper.leave()
--
-- Calls of the core are noted (helper.call) and go on to the real function. Only what needs that
-- no run of the specs has, a router, a broker, a terminal, may be answered by a stub (helper.stub).
-- require "helper" before anything under scripts/cli.

local found, real = pcall(require, "herald.core")
assert(found, "these specs need the binary's herald.core: build-ci/tests/specs has it, busted has not")
local made = require "made"

local helper = {}

local STORE <const> = "shop.db"
local NEEDS <const> = { run = "a router", ask = "a router", router_pid = "a router", inspect_rules = "a broker",
  stderr_is_terminal = "a terminal", stdout_is_terminal = "a terminal" }

local calls, stubs = {}, {}
local shop -- where we are; nil: where we began
local rows = {} -- SQL of rows that are not in shop.db yet
local empty -- the bytes of a store with nothing in it, once one was made

local core = {}
for name, value in pairs(real) do
  core[name] = type(value) ~= "function" and value or function(...)
    calls[#calls + 1] = table.pack(name, ...)
    return (stubs[name] or value)(...)
  end
end
package.loaded["herald.core"] = core

-- Answers calls of this function with the values, or, where the first one is a function, calls it.
function helper.stub(name, first, ...)
  if type(real[name]) ~= "function" then error("herald.core has no function " .. name, 2) end
  if not NEEDS[name] then error("herald.core." .. name .. " needs nothing that is not here", 2) end
  local values = table.pack(first, ...)
  stubs[name] = type(first) == "function" and first or function() return table.unpack(values, 1, values.n) end
end

-- The arguments of the last call of a function; nil when there was none.
function helper.call(name)
  assert(core[name], name)
  for i = #calls, 1, -1 do
    if calls[i][1] == name then return table.unpack(calls[i], 2, calls[i].n) end
  end
end

function helper.forget_calls()
  calls = {}
end

-- Goes to a new folder with this herald.lua (nil: none), and other files by name.
function helper.enter(settings, files)
  local all = { ["herald.lua"] = settings }
  for name, text in pairs(files or {}) do all[name] = text end
  calls, stubs, rows = {}, {}, {}
  shop = made.folder(all)
  shop.home = real.getcwd()
  assert(real.chdir(shop.path))
  return shop
end

function helper.leave()
  assert(real.chdir(shop.home))
  shop:remove()
  shop = nil
end

-- A store as the core makes it, with nothing in it: the first one, or a copy of it.
function helper.make_store(path)
  if not empty then
    local ids, _, why = real.emit(path, { type = "t" }, 1)
    assert(ids, why)
    assert(real.outbox_drop(path, { ids = ids }) == 1)
    empty = made.read(path)
  elseif not real.kind(path) then
    made.write(path, empty)
  end
end

local function add_rows()
  if #rows == 0 then return end
  local text = table.concat(rows)
  rows = {}
  helper.sql(text)
end

-- Runs SQL on shop.db, as somebody else's program; returns what it prints.
function helper.sql(text)
  add_rows()
  helper.make_store(STORE)
  made.write(shop.base .. "/sql", text)
  local code, out, err = shop:shell("sqlite3 -bail " .. STORE .. " <../sql")
  assert(code == 0, err)
  return out
end

-- What a column that must hold something holds where a spec says nothing of it.
local DEFAULTS <const> = {
  herald_dead = { fingerprint = 0, timestamp_s = 0 },
  herald_retry = { fingerprint = 0, timestamp_s = 0 },
  herald_history = { timestamp_s = 0 },
  herald_outbox = {},
  herald_inbox = { fingerprint = 0 },
}

-- Texts hold anything, bodies are bytes.
local function literal(column, value)
  if type(value) ~= "string" then return tostring(value) end
  local bytes = "x'" .. value:gsub(".", function(c) return ("%02x"):format(c:byte()) end) .. "'"
  return column == "body" and bytes or "cast(" .. bytes .. " as text)"
end

-- Adds a row to a table of shop.db, or `times` such rows, before the next command or SQL.
function helper.add(name, row, times)
  local columns, values, all = {}, {}, {}
  for column, value in pairs(DEFAULTS[name]) do all[column] = value end
  for column, value in pairs(row) do all[column] = value end
  for column, value in pairs(all) do
    columns[#columns + 1], values[#values + 1] = column, literal(column, value)
  end
  rows[#rows + 1] = ("with n(i) as (select 1 union all select i + 1 from n where i < %d) insert into %s(%s) select %s from n;\n")
    :format(times or 1, name, table.concat(columns, ", "), table.concat(values, ", "))
end

-- Runs the command line; returns exit code, stdout and stderr.
function helper.herald(...)
  local saved = _G.arg
  _G.arg = { [0] = "herald", ... }
  local results, out, err = helper.caught(dofile, (assert(package.searchpath("cli.main", package.path))))
  _G.arg = saved
  return results[1], out, err
end

-- Calls fn while io.stdout and io.stderr are caught, and comes back from wherever it goes; returns
-- its results in a table, and both texts.
function helper.caught(fn, ...)
  add_rows()
  local stdout, stderr, texts, here = io.stdout, io.stderr, { {}, {} }, real.getcwd()
  for i, name in ipairs { "stdout", "stderr" } do
    io[name] = { write = function(_, ...)
      for _, text in ipairs { ... } do table.insert(texts[i], tostring(text)) end
    end }
  end
  local results = table.pack(pcall(fn, ...))
  io.stdout, io.stderr = stdout, stderr
  assert(real.chdir(here))
  if not results[1] then error(results[2], 0) end
  return { table.unpack(results, 2, results.n) }, table.concat(texts[1]), table.concat(texts[2])
end

return helper
