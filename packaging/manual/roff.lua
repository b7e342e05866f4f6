-- roff: Markdown, as our papers use it, as man pages have it: headings, paragraphs, lists, tables,
-- code. A row of a table becomes a tagged paragraph, since a terminal is too narrow for most tables.

local roff = {}

local WIDTH <const> = 78

local GLYPHS <const> = { ["\\"] = "\\e", ["'"] = "\\(aq", ["`"] = "\\(ga", ["^"] = "\\(ha", ["~"] = "\\(ti",
  ["-"] = "\\-" }

-- Text that is taken byte by byte, as code is.
function roff.verbatim(text)
  text = text:gsub("[\\'`^~-]", GLYPHS)
  return (text:gsub("[\u{80}-\u{10FFFF}]+", function(wide)
    local out = {}
    for _, code in utf8.codes(wide) do out[#out + 1] = ("\\[u%04X]"):format(code) end
    return table.concat(out)
  end))
end

-- The same for prose, whose hyphens may be any.
local function prose(text)
  return (roff.verbatim(text):gsub("\\%-", "-"))
end

-- The first of the marks in the text: where it begins and ends, and what it encloses.
local function find_mark(text, from)
  local first
  for _, mark in ipairs {
    { "`([^`]+)`", "code" }, { "%*%*(.-)%*%*", "bold" }, { "%*([^%s*][^*]*)%*", "italic" },
    { "%[([^%]]*)%]%([^)]*%)", "link" }, { '<a id="[^"]*"></a>', "anchor" },
  } do
    local at, stop, inside = text:find(mark[1], from)
    if at and (not first or at < first.at) then first = { at = at, stop = stop, inside = inside, kind = mark[2] } end
  end
  return first
end

local inline

local RENDER <const> = {
  code = function(text) return "\\fB" .. roff.verbatim(text) .. "\\fR" end,
  bold = function(text) return "\\fB" .. prose(text) .. "\\fR" end,
  italic = function(text) return "\\fI" .. prose(text) .. "\\fR" end,
  link = function(text) return inline(text) end,
  anchor = function() return "" end,
}

function inline(text)
  local out, from = {}, 1
  while true do
    local mark = find_mark(text, from)
    out[#out + 1] = prose(text:sub(from, (mark and mark.at or 0) - 1))
    if not mark then return table.concat(out) end
    out[#out + 1] = RENDER[mark.kind](mark.inside)
    from = mark.stop + 1
  end
end

-- A line must not look like a request.
local function guarded(line)
  return (line:gsub("^[.]", "\\&."))
end

-- Lines of at most WIDTH bytes where words allow it.
function roff.text(markdown)
  local lines, line = {}, ""
  for word in inline(markdown):gmatch "%S+" do
    if line ~= "" and #line + 1 + #word > WIDTH then
      lines[#lines + 1] = guarded(line)
      line = word
    else
      line = line == "" and word or line .. " " .. word
    end
  end
  lines[#lines + 1] = guarded(line)
  return table.concat(lines, "\n")
end

function roff.tagged(tag, text)
  return ".TP\n" .. roff.text(tag) .. "\n" .. roff.text(text)
end

function roff.code(lines)
  local out = {}
  for i, line in ipairs(lines) do
    line = roff.verbatim(line):gsub("%s+$", "")
    out[i] = line:match "^[.]" and "\\&" .. line or line
  end
  return ".PP\n.RS 4\n.EX\n" .. table.concat(out, "\n") .. "\n.EE\n.RE"
end

local function cells_of(line)
  local cells = {}
  line = line:gsub("\\|", "\1")
  for cell in line:gmatch "|%s*([^|]-)%s*%f[|]" do cells[#cells + 1] = (cell:gsub("\1", "|")) end
  return cells
end

-- The column with most of the words is what a row says; the others are facts beside it.
local function main_column(rows)
  local sizes, main = {}, 2
  for _, cells in ipairs(rows) do
    for i = 2, #cells do sizes[i] = (sizes[i] or 0) + #cells[i] end
  end
  for i, size in pairs(sizes) do
    if size > (sizes[main] or 0) then main = i end
  end
  return main
end

-- In the order of the columns; the facts between two lines are one.
local function row(heads, cells, main)
  local out, facts = {}, {}
  local function say_facts()
    if #facts > 0 then out[#out + 1] = roff.text(table.concat(facts, "; ")) end
    facts = {}
  end
  for i = 2, #heads do
    local cell = cells[i] or ""
    if cell ~= "" and i == main then
      say_facts()
      out[#out + 1] = roff.text(cell)
    elseif cell ~= "" then
      facts[#facts + 1] = ("*%s:* %s"):format(heads[i], cell)
    end
  end
  say_facts()
  return ".TP\n" .. roff.text(cells[1] or "") .. "\n" .. table.concat(out, "\n.br\n")
end

local function table_of(lines)
  local heads, rows, out = cells_of(lines[1]), {}, {}
  for i = 3, #lines do rows[i - 2] = cells_of(lines[i]) end
  for i, cells in ipairs(rows) do out[i] = row(heads, cells, main_column(rows)) end
  return table.concat(out, "\n")
end

local BULLET <const>, NUMBER <const> = "^%- ", "^%d+%. "

local function is_item(line)
  return line:match(BULLET) or line:match(NUMBER)
end

-- Links to the headings of the paper alone: a page has its own order.
local function is_contents(lines)
  return lines[1]:match "^%- %[[^%]]*%]%(#[^)]*%) ·" ~= nil
end

local take = {} -- each takes lines from `at` on, and returns what they become and where it ended

function take.code(lines, at)
  local inside, stop = {}, at + 1
  while lines[stop] and not lines[stop]:match "^```" do
    inside[#inside + 1] = lines[stop]
    stop = stop + 1
  end
  return roff.code(inside), stop + 1
end

function take.indented(lines, at)
  local inside, stop = {}, at
  while lines[stop] and lines[stop]:match "^    " do
    inside[#inside + 1] = lines[stop]:sub(5)
    stop = stop + 1
  end
  return roff.code(inside), stop
end

function take.rows(lines, at)
  local inside, stop = {}, at
  while lines[stop] and lines[stop]:match "^|" do
    inside[#inside + 1] = lines[stop]
    stop = stop + 1
  end
  return table_of(inside), stop
end

local function starts_block(line)
  return line == "" or line:match "^#" or line:match "^|" or line:match "^```" or is_item(line)
end

function take.paragraph(lines, at)
  local inside, stop = { lines[at] }, at + 1
  while lines[stop] and not starts_block(lines[stop]) do
    inside[#inside + 1] = lines[stop]
    stop = stop + 1
  end
  return ".PP\n" .. roff.text(table.concat(inside, " ")), stop
end

-- An item and what is indented behind it, without its mark.
local function item_of(lines, at)
  local mark = lines[at]:match "^(%d+%.) " or "-"
  local inside, stop = { lines[at]:sub(#mark + 2) }, at + 1
  while lines[stop] and (lines[stop]:match "^  " or (lines[stop] == "" and (lines[stop + 1] or ""):match "^  ")) do
    inside[#inside + 1] = lines[stop]:gsub("^" .. (" "):rep(#mark + 1), "")
    stop = stop + 1
  end
  return mark, inside, stop
end

function take.list(lines, at)
  if is_contents { lines[at] } then
    while lines[at] and lines[at] ~= "" do at = at + 1 end
    return nil, at
  end
  local mark, inside, stop = item_of(lines, at)
  local first, from = take.paragraph(inside, 1)
  local out = { (mark == "-" and ".IP \\(bu 2" or ".IP " .. mark .. " 4") .. first:sub(4) }
  local rest = roff.blocks(table.move(inside, from, #inside, 1, {}))
  if rest ~= "" then out[#out + 1] = ".RS\n" .. rest .. "\n.RE" end
  return table.concat(out, "\n"), stop
end

function take.heading(lines, at)
  local marks, text = lines[at]:match "^(#+)%s+(.*)$"
  text = text:gsub('<a id="[^"]*"></a>', "")
  if #marks == 1 then return nil, at + 1 end
  if #marks == 2 then return ".SH " .. prose(text:gsub("[`*]", ""):upper()), at + 1 end
  return ".SS " .. prose((text:gsub("[`*]", ""))), at + 1
end

local function kind_of(line)
  if line:match "^```" then return "code" end
  if line:match "^    " then return "indented" end
  if line:match "^#" then return "heading" end
  if line:match "^|" then return "rows" end
  return is_item(line) and "list" or "paragraph"
end

-- Lines of Markdown, as lines of roff.
function roff.blocks(lines)
  local out, at = {}, 1
  while lines[at] do
    if lines[at] == "" then
      at = at + 1
    else
      local block
      block, at = take[kind_of(lines[at])](lines, at)
      out[#out + 1] = block
    end
  end
  return table.concat(out, "\n")
end

-- A whole page; a heading begins a paragraph by itself.
function roff.page(parts)
  return (table.concat(parts, "\n"):gsub("(%.S[HS] [^\n]*\n)%.PP\n", "%1")) .. "\n"
end

return roff
