-- sql: where in a file the mistake of a constant statement stands.

local lint = require "cli.check.lint"

local sql = {}

-- The core says the statement, too; here its place says it.
local function words(constant)
  local at = constant.problem:find(" in: " .. constant.text:sub(1, 40), 1, true)
  return at and constant.problem:sub(1, at - 1) or constant.problem
end

local function offset_of(code, line, column)
  local at = 1
  for _ = 2, line do
    local next_line = code:find("\n", at, true)
    if not next_line then return nil end
    at = next_line + 1
  end
  return at + column - 1
end

-- Where the text of the literal begins, behind its quote or bracket.
local function inside(code, at)
  local bracket = code:match("^%[=*%[\r?\n?", at)
  return at + (bracket and #bracket or 1)
end

-- The byte of the statement that SQLite complains of, from 0; nil where it cannot be told.
local function wrong_byte(constant)
  if constant.at >= 0 then return constant.at end
  -- SQLite does not say where a table's name stands.
  local name = constant.problem:match("^no such table: ([%w_]+)")
  local at = name and constant.text:find("%f[%w_]" .. name .. "%f[^%w_]")
  return at and at - 1
end

-- The literal's place, moved to the byte that is wrong when the text stands there as it is (an
-- escape sequence would shift it).
local function place(constant, code)
  local where = { file = constant.file, line = constant.line, column = constant.column }
  local byte = wrong_byte(constant)
  local at = code and byte and offset_of(code, constant.line, constant.column)
  if not at then return where end
  local start = inside(code, at)
  if code:sub(start, start + #constant.text - 1) ~= constant.text then return where end
  local wrong = start + byte
  local _, lines = code:sub(1, wrong - 1):gsub("\n", "")
  local line_start = code:sub(1, wrong - 1):match(".*\n()") or 1
  where.line, where.column = lines + 1, wrong - line_start + 1
  return where
end

-- Adds a finding for each statement that cannot be prepared; returns how many there are.
function sql.judge(constants, found)
  local code, statements = {}, 0
  for _, constant in ipairs(constants) do
    if constant.kind == "sql" then
      statements = statements + 1
      if constant.problem then
        if code[constant.file] == nil then code[constant.file] = lint.read(constant.file) or false end
        found:error(place(constant, code[constant.file]), words(constant))
      end
    end
  end
  return statements
end

return sql
