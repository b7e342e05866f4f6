-- show: tables and pairs for people, with columns that align wide characters.

local show = {}

-- Cells that a terminal uses for a character: East Asian wide forms take two,
-- combining marks none (Unicode Standard Annex 11, the blocks that matter here).
local function width_of(code)
  if code < 0x300 then return 1 end
  if code <= 0x36f or (code >= 0x200b and code <= 0x200f) or (code >= 0xfe00 and code <= 0xfe0f) then
    return 0
  end
  if (code >= 0x1100 and code <= 0x115f) or (code >= 0x2e80 and code <= 0xa4cf)
    or (code >= 0xac00 and code <= 0xd7a3) or (code >= 0xf900 and code <= 0xfaff)
    or (code >= 0xfe30 and code <= 0xfe6f) or (code >= 0xff00 and code <= 0xff60)
    or (code >= 0xffe0 and code <= 0xffe6) or (code >= 0x1f300 and code <= 0x1faff)
    or (code >= 0x20000 and code <= 0x3fffd) then
    return 2
  end
  return 1
end

-- Cells that a text takes; bytes that are not UTF-8 count one each.
function show.width(text)
  if not utf8.len(text) then return #text end
  local cells = 0
  for _, code in utf8.codes(text) do cells = cells + width_of(code) end
  return cells
end

-- C0, DEL, C1, and what breaks or reorders a line: separators and bidirectional marks.
local function is_control(code)
  return code < 0x20 or (code >= 0x7f and code <= 0x9f) or code == 0x200e or code == 0x200f
    or (code >= 0x2028 and code <= 0x202e) or (code >= 0x2066 and code <= 0x2069)
end

-- One line, without control characters, cut to `max` cells.
function show.line(text, max)
  if not utf8.len(text) then text = text:gsub("[\x80-\xff]", "?") end
  local cells, out, room = 0, {}, 0
  for _, code in utf8.codes(text) do
    local control = is_control(code)
    local width = control and 1 or width_of(code)
    if cells + width > max then
      return table.concat(out, "", 1, room) .. "…"
    end
    cells = cells + width
    out[#out + 1] = control and " " or utf8.char(code)
    if cells < max then room = #out end -- what still leaves a cell for the ellipsis
  end
  return table.concat(out)
end

-- rows of texts under headings; the last column is not padded.
function show.table(headings, rows)
  local widths, lines = {}, {}
  local function measure(row)
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, show.width(cell)) end
  end
  local function put(row)
    local cells = {}
    for i, cell in ipairs(row) do
      cells[i] = i == #row and cell or cell .. (" "):rep(widths[i] - show.width(cell))
    end
    lines[#lines + 1] = table.concat(cells, "  ")
  end
  measure(headings)
  for _, row in ipairs(rows) do measure(row) end
  put(headings)
  for _, row in ipairs(rows) do put(row) end
  return table.concat(lines, "\n")
end

-- "name   value" lines.
function show.pairs(list)
  local widest, lines = 0, {}
  for _, pair in ipairs(list) do widest = math.max(widest, show.width(pair[1])) end
  for _, pair in ipairs(list) do
    lines[#lines + 1] = pair[1] .. (" "):rep(widest - show.width(pair[1])) .. "  " .. tostring(pair[2])
  end
  return table.concat(lines, "\n")
end

-- Milliseconds since 1970 as ISO 8601 UTC, with or without the milliseconds.
function show.time(ms)
  return os.date("!%Y-%m-%dT%H:%M:%S", ms // 1000) .. (".%03dZ"):format(ms % 1000)
end

function show.second(ms)
  return os.date("!%Y-%m-%dT%H:%M:%SZ", ms // 1000)
end

-- "1 min 5 s" is easier to read than 65000.
function show.age(ms)
  local s = ms // 1000
  if s < 60 then return s .. " s" end
  if s < 3600 then return ("%d min %d s"):format(s // 60, s % 60) end
  if s < 86400 then return ("%d h %d min"):format(s // 3600, s % 3600 // 60) end
  return ("%d d %d h"):format(s // 86400, s % 86400 // 3600)
end

return show
