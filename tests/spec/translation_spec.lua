-- The Chinese papers keep step with the English ones: README.zh-CN.md as a whole, docs/*.zh-CN.md
-- section by section, where a comment under a heading names the one it is translated from:
-- <!-- rules.md#Files -->. Same are the headings' depths, code (apart from its comments), and what
-- tables have in code in their first column. Words are for people to compare.

local core = require "herald.core"

-- Without comments, which are translated.
local function bare(code)
  return (code:gsub("%s+%-%- .*$", ""):gsub("%s+# .*$", ""))
end

local function first_cell(line)
  local spans = {}
  for span in line:match("^|([^|]*)|"):gmatch "`[^`]+`" do spans[#spans + 1] = span end
  return table.concat(spans, " ")
end

-- Sections in order: { level, title, from (the section it is translated from), code, cells }.
local function sections(path)
  local list, fence, now = {}, false, nil
  for line in io.lines(path) do
    local level, title = line:match "^(#+) (.*)$"
    if line:match "^```" then
      fence = not fence
      now.code[#now.code + 1] = line
    elseif fence then
      now.code[#now.code + 1] = bare(line)
    elseif level then
      now = { level = #level, title = title, code = {}, cells = {} }
      list[#list + 1] = now
    elseif line:match "^|" then
      now.cells[#now.cells + 1] = first_cell(line)
    else
      now.from = line:match "^<!%-%- (.*) %-%->$" or now.from
    end
  end
  return list
end

local function section_of(reference)
  local paper, title = reference:match "^(.-)#(.+)$"
  assert(paper, reference)
  for _, section in ipairs(sections("docs/" .. paper)) do
    if section.title == title then return section end
  end
  error(("docs/%s has no section %q"):format(paper, title))
end

local function same(english, translated)
  assert.same(english.code, translated.code, translated.title .. ": code")
  assert.same(english.cells, translated.cells, translated.title .. ": tables")
end

describe("in Chinese", function()
  it("README keeps step with the English one", function()
    local english, chinese = sections "README.md", sections "README.zh-CN.md"
    for i, section in ipairs(english) do
      assert(chinese[i], "lacks " .. section.title)
      assert.equal(section.level, chinese[i].level, section.title)
    end
    assert.equal(#english, #chinese)
  end)

  for i, section in ipairs(sections "README.zh-CN.md") do
    it("README says " .. section.title, function() same(sections "README.md"[i], section) end)
  end

  local n = 0
  for _, name in ipairs(core.list "docs") do
    if name:match "%.zh%-CN%.md$" then
      for _, section in ipairs(sections("docs/" .. name)) do
        n = n + 1
        it(name .. " says " .. section.title, function()
          if section.level > 1 then same(section_of(section.from), section) end
        end)
      end
    end
  end

  it("there is more than the README", function() assert.is_true(n > 1) end)
end)
