-- store: what the store's file is made of.

local core = require "herald.core"
local folder = require "cli.folder"
local json = require "cli.json"
local show = require "cli.show"

local store = {}

local ESTIMATE <const> = "SQLite here has no dbstat: bytes are estimated from the first 1,000 rows of a table"

function store.add(parser, common)
  local command = parser:command("store", "The store's file: what it is made of."):require_command(true)
    :target("store_command") -- its own name is the option's
  command:command_target("action")
  local stats = command:command("stats", "Rows and bytes by kind: outbox by state, inbox, retries, dead letters, "
    .. "history, business tables, indexes, free pages, WAL.")
  stats:flag("--json", "Print JSON.")
  common(command)
  common(stats, "_after_action")
end

-- The kind of a table of herald's, for people; of others: business.
local KINDS <const> = {
  herald_outbox = "outbox", herald_inbox = "inbox", herald_inbox_floor = "inbox", herald_retry = "retries",
  herald_dead = "dead", herald_dead_group = "dead", herald_history = "history", herald_recent = "recent",
  herald_queue_item = "queues",
}
local ORDER <const> = { "outbox", "inbox", "retries", "dead", "history", "recent", "queues", "herald", "business" }

local function kind_of(name)
  return KINDS[name] or (name:match "^herald_" or name:match "^sqlite_") and "herald" or "business"
end

local function quoted(name)
  return '"' .. name:gsub('"', '""') .. '"'
end

local function read(survey, sql, tick)
  local list, word, why = core.survey_read(survey, sql, tick)
  if not list then error({ word, why }, 0) end
  return list
end

local function number(survey, sql, tick)
  local row = read(survey, sql, tick)[1]
  return row and math.tointeger(tonumber(row[1])) or 0
end

-- Bytes of each table and index; nil: this SQLite cannot tell.
local function exact_bytes(survey, tick)
  local list = core.survey_read(survey, "select name, pgsize from dbstat where aggregate = true", tick)
  if not list then return nil end
  local bytes = {}
  for _, row in ipairs(list) do bytes[row[1]] = math.tointeger(tonumber(row[2])) or 0 end
  return bytes
end

-- What the first rows of a table weigh, for all of them.
local function estimated_bytes(survey, name, rows, tick)
  local columns = {}
  for _, column in ipairs(read(survey, ("select name from pragma_table_info('%s')"):format(name:gsub("'", "''")))) do
    columns[#columns + 1] = ("ifnull(length(cast(%s as blob)), 0) + 2"):format(quoted(column[1]))
  end
  if #columns == 0 or rows == 0 then return 0 end
  return rows * number(survey, ("select cast(avg(b) as integer) from (select %s as b from %s limit 1000)"):format(
    table.concat(columns, " + "), quoted(name)), tick)
end

-- What of the outbox waits, by how it does (docs/operations.md#status-and-check has the same words).
local STATES <const> = [[select case when attempts > 0 then 'refused' when first_sent_at is not null then 'unheard'
  when due_at > %d then 'scheduled' else 'ready' end, count(*) from herald_outbox group by 1 order by 1]]

local function look(survey, path, tick)
  if #read(survey, "select 1 from sqlite_schema where name = 'herald_outbox'") == 0 then
    error({ "failed", path .. " is not a store of herald's" }, 0)
  end
  local kinds, indexes, bytes = {}, 0, exact_bytes(survey, tick)
  for _, kind in ipairs(ORDER) do kinds[kind] = { rows = 0, bytes = 0 } end
  for _, row in ipairs(read(survey, "select type, name, rootpage from sqlite_schema where rootpage > 0")) do
    local own = bytes and bytes[row[2]] or 0
    if row[1] == "index" then
      indexes = indexes + own
    else
      local kind, rows = kinds[kind_of(row[2])], number(survey, "select count(*) from " .. quoted(row[2]), tick)
      kind.rows = kind.rows + rows
      kind.bytes = kind.bytes + (bytes and own or estimated_bytes(survey, row[2], rows, tick))
    end
  end
  kinds.herald.bytes = kinds.herald.bytes + (bytes and bytes.sqlite_schema or 0)
  local states = {}
  for _, row in ipairs(read(survey, STATES:format(os.time() * 1000), tick)) do
    states[#states + 1] = { row[1], math.tointeger(tonumber(row[2])) }
  end
  local size = number(survey, "pragma page_size")
  local wal = core.stat(path .. "-wal")
  return {
    kinds = kinds, states = states, indexes = bytes and indexes or nil, exact = bytes ~= nil,
    free = number(survey, "pragma freelist_count") * size, file = number(survey, "pragma page_count") * size,
    wal = wal and wal.size or 0,
  }
end

local function as_json(path, s)
  local kinds, states = json.object {}, json.object {}
  for _, kind in ipairs(ORDER) do
    kinds[#kinds + 1] = { kind, json.object { { "rows", s.kinds[kind].rows }, { "bytes", s.kinds[kind].bytes } } }
  end
  for _, state in ipairs(s.states) do states[#states + 1] = state end
  return json.encode(json.object { { "path", path }, { "exact", s.exact }, { "kinds", kinds },
    { "outbox_states", states }, { "index_bytes", s.indexes or json.null }, { "free_bytes", s.free },
    { "file_bytes", s.file }, { "wal_bytes", s.wal } })
end

local function weight(bytes)
  if bytes >= 10 << 30 then return ("%d GiB"):format(bytes >> 30) end
  if bytes >= 10 << 20 then return ("%d MiB"):format(bytes >> 20) end
  return ("%d KiB"):format((bytes + 1023) >> 10)
end

local function as_text(s)
  local rows = {}
  for _, kind in ipairs(ORDER) do
    local k = s.kinds[kind]
    rows[#rows + 1] = { kind, tostring(k.rows), (s.exact and "" or "~") .. weight(k.bytes) }
    for _, state in ipairs(kind == "outbox" and s.states or {}) do
      rows[#rows + 1] = { "  " .. state[1], tostring(state[2]), "" }
    end
  end
  rows[#rows + 1] = { "indexes", "", s.indexes and weight(s.indexes) or "?" }
  rows[#rows + 1] = { "free pages", "", weight(s.free) }
  rows[#rows + 1] = { "file", "", weight(s.file) }
  rows[#rows + 1] = { "WAL", "", weight(s.wal) }
  return show.table({ "KIND", "ROWS", "BYTES" }, rows)
    .. (s.exact and "" or "\n" .. ESTIMATE)
end

function store.stats(args)
  local s, code, problem = folder.open_store(args)
  if not s then return code, problem end
  local survey, _, why = core.survey_open(s.store)
  if not survey then return folder.FAILED, why end
  local fine, found = pcall(look, survey, s.store, nil)
  core.survey_close(survey)
  if not fine then
    if type(found) ~= "table" then error(found, 0) end
    return folder.FAILED, found[2]
  end
  io.stdout:write(args.json and as_json(s.store, found) or as_text(found), "\n")
end

function store.run(args)
  return store[args.action](args)
end

return store
