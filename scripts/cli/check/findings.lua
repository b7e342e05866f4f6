-- findings: what `herald check` has to say, each with its place.
--
-- Every finding has a file, a line and a column, 1 where it is not known, so that editors
-- can jump to all of them.

local json = require "cli.json"
local show = require "cli.show"

local findings = {}
findings.__index = findings

local TEXT_MAX <const> = 1000

function findings.new()
  return setmetatable({ list = {}, seen = {}, counts = { error = 0, warning = 0, note = 0 } }, findings)
end

function findings:add(severity, place, text)
  local found = {
    file = place.file, line = place.line or 1, column = place.column or 1,
    severity = severity, text = text,
  }
  -- A broken module is found where it is read and once more where it is required.
  local key = table.concat({ found.file, found.line, severity, text }, "\0")
  if self.seen[key] then return end
  self.seen[key] = true
  self.list[#self.list + 1] = found
  self.counts[severity] = self.counts[severity] + 1
end

function findings:error(place, text) self:add("error", place, text) end
function findings:warn(place, text) self:add("warning", place, text) end
function findings:note(place, text) self:add("note", place, text) end

-- "rules/enrol.lua:12" as a place.
function findings.place(origin)
  local file, line = origin:match("^(.+):(%d+)$")
  return { file = file or origin, line = math.tointeger(tonumber(line)) }
end

-- Splits "rules/enrol.lua:12: text" into a place and its text. What has no such beginning
-- belongs to the first file it names, or to `otherwise`.
function findings.split(words, otherwise)
  local file, line, text = words:match("^([^:\n]+):(%d+):%s*(.*)$")
  if file then return { file = file, line = math.tointeger(tonumber(line)) }, text end
  local named = words:match("[%w_./-]+%.lua") or words:match("[%w_./-]+%.sql")
  return { file = ((named or otherwise):gsub("^%./", "")) }, words
end

-- Adds an error as the core words it.
function findings:add_words(words, otherwise)
  local place, text = findings.split(words, otherwise)
  self:error(place, text)
end

local function before(a, b)
  if a.file ~= b.file then return a.file < b.file end
  if a.line ~= b.line then return a.line < b.line end
  if a.column ~= b.column then return a.column < b.column end
  return a.text < b.text
end

-- The text for people; `ok` stands there when nothing is wrong.
function findings:lines(ok)
  table.sort(self.list, before)
  local lines = {}
  for i, f in ipairs(self.list) do
    lines[i] = ("%s:%d:%d: %s: %s"):format(show.line(f.file, TEXT_MAX), f.line, f.column, f.severity,
      show.line(f.text, TEXT_MAX))
  end
  if self.counts.error + self.counts.warning == 0 then
    lines[#lines + 1] = ok
  else
    lines[#lines + 1] = ("%d errors, %d warnings"):format(self.counts.error, self.counts.warning)
  end
  return lines
end

function findings:json()
  table.sort(self.list, before)
  local list = {}
  for i, f in ipairs(self.list) do
    list[i] = json.object {
      { "file", f.file }, { "line", f.line }, { "column", f.column }, { "severity", f.severity },
      { "text", f.text },
    }
  end
  return json.encode(list)
end

return findings
