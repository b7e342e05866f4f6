-- whole: one message of the store, shown whole: its parts, its body, what its tries came to.

local core = require "herald.core"
local folder = require "cli.folder"
local json = require "cli.json"
local rows = require "cli.rows"
local show = require "cli.show"

local whole = {}

-- The member of a JSON object; a body that is not UTF-8 has another name.
function whole.body(body)
  if body == nil then return { "body", json.null } end
  if utf8.len(body) then return { "body", body } end
  return { "body_base64", core.base64(body) }
end

-- The same for people.
function whole.body_text(body)
  if body == nil then return "(none)" end
  return utf8.len(body) and body or "(not UTF-8, base64) " .. core.base64(body)
end

-- A time of a message's own, for people; nil: it has none, or one that no calendar shows.
function whole.seconds(seconds)
  local ok = seconds and seconds > 0 and seconds < 253402300800
  return ok and os.date("!%Y-%m-%dT%H:%M:%SZ", seconds) or seconds and tostring(seconds)
end

-- What each try came to, for --json.
function whole.tries(tries)
  local list = {}
  for i, try in ipairs(tries or {}) do
    list[i] = json.object {
      { "at", show.time(try.at) }, { "attempt", try.attempt }, { "generation", try.generation },
      { "error", try.error }, { "traceback", try.traceback }, { "took_ms", try.took_ms },
    }
  end
  return list
end

function whole.keys(row)
  return table.concat({ row.key1 or "-", row.key2 or "-", row.key3 or "-" }, "  ")
end

function whole.rules(generation)
  return generation == 0 and "herald itself" or "generation " .. generation
end

local function print_tries(tries)
  if #tries == 0 then return end
  local cells = {}
  for i, try in ipairs(tries) do
    cells[i] = { show.time(try.at), tostring(try.attempt), whole.rules(try.generation),
      rows.cell(try.error, 200), rows.cell(try.traceback and try.traceback:match("[^\n]+"), 200) }
  end
  io.stdout:write("\n", show.table({ "TRIED AT", "ATTEMPT", "RULES", "ERROR", "WHERE" }, cells), "\n")
end

-- For people: `members` are {name, text} pairs; `row` has traceback and tries.
local function print_row(members, row)
  -- What others wrote must not move the cursor of whoever reads it.
  for i, pair in ipairs(members) do
    members[i] = { pair[1], show.line(tostring(pair[2] or "-"), 2000) }
  end
  io.stdout:write(show.pairs(members), "\n")
  for line in (row.traceback or ""):gmatch("[^\n]+") do io.stdout:write(show.line(line, 2000), "\n") end
  print_tries(row.tries or {})
end

-- Runs `... show ID`: get(settings, id) reads the row, as_json and as_pairs say what it has.
function whole.run(args, get, as_json, as_pairs)
  local id, bad = folder.whole_number(args.id, "ID", 1, math.maxinteger)
  if not id then return folder.USAGE, bad end
  local s, code, problem = folder.open_store(args)
  if not s then return code, problem end
  local row, kind, why = get(s, id)
  if not row then return folder.exit_code(kind), why end
  if args.json then
    io.stdout:write(json.encode(as_json(row)), "\n")
  else
    print_row(as_pairs(row), row)
  end
end

return whole
