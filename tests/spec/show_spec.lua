local show = require "cli.show"

describe("show.width", function()
  local cases = {
    { "", 0 }, { "abc", 3 }, { "é", 1 }, { "王小明", 6 }, { "《Lua》", 7 }, { "ｶ", 1 }, { "Ａ", 2 },
    { "한글", 4 }, { "𠀀", 2 }, { "🎓", 2 },
    { "e\u{301}", 1 }, -- a combining accent takes no cell
    { "\u{200b}", 0 }, -- nor does a zero width space
    { "\xff\xfe", 2 }, -- not UTF-8: bytes
  }
  for _, case in ipairs(cases) do
    it(("of %q is %d"):format(case[1], case[2]), function()
      assert.equal(case[2], show.width(case[1]))
    end)
  end
end)

describe("show.line", function()
  it("leaves a short text alone", function()
    assert.equal("王小明 paid", show.line("王小明 paid", 11))
  end)

  it("makes one line of several", function()
    assert.equal("a b c", show.line("a\nb\tc", 80))
  end)

  it("lets no terminal sequence through", function()
    assert.equal("a [31mred [0m", show.line("a\27[31mred\27[0m", 80))
    assert.equal("a b", show.line("a\0b", 80))
    assert.equal("a b", show.line("a\127b", 80))
  end)

  it("lets no C1 control character through", function()
    local text = show.line("a\u{9b}31mb", 80)
    assert.is_nil(text:find("\u{9b}", 1, true))
  end)

  it("lets nothing through that reorders or breaks a line", function()
    assert.equal("a b c", show.line("a\u{202e}b\u{2028}c", 80))
  end)

  it("cuts what is too long and says so", function()
    assert.equal("abcd…", show.line("abcdefgh", 5))
  end)

  it("never takes more cells than it may, with wide characters too", function()
    for max = 1, 8 do
      assert.is_true(show.width(show.line("王小明课程表", max)) <= max)
      assert.is_true(show.width(show.line("a王b小c明", max)) <= max)
      assert.is_true(show.width(show.line("ae\u{301}e\u{301}e\u{301}王", max)) <= max)
    end
    assert.equal("王…", show.line("王小明", 4))
  end)

  it("shows bytes that are no UTF-8 as question marks", function()
    assert.equal("a??b", show.line("a\xff\xfeb", 80))
    assert.equal("a…", show.line("a\xff\xfeb", 2))
  end)
end)

describe("show.table", function()
  it("aligns columns and does not pad the last", function()
    assert.equal("ID  NAME  ERROR\n1   a     x\n22  bbb   a longer one",
      show.table({ "ID", "NAME", "ERROR" }, { { "1", "a", "x" }, { "22", "bbb", "a longer one" } }))
  end)

  it("aligns wide characters by the cells they take", function()
    assert.equal("NAME    N\n王小明  1\nab      2",
      show.table({ "NAME", "N" }, { { "王小明", "1" }, { "ab", "2" } }))
  end)

  it("without rows shows its headings", function()
    assert.equal("A  B", show.table({ "A", "B" }, {}))
  end)
end)

describe("show.pairs", function()
  it("aligns the values", function()
    assert.equal("a    1\nbbb  true", show.pairs { { "a", 1 }, { "bbb", true } })
    assert.equal("姓名  王\nid    1", show.pairs { { "姓名", "王" }, { "id", 1 } })
  end)

  it("writes times as ISO 8601 and ages in the two largest units", function()
    assert.equal("2025-11-24T16:00:00.007Z", show.time(1764000000007))
    assert.equal("2025-11-24T16:00:00Z", show.second(1764000000007))
    assert.equal("1970-01-01T00:00:00.000Z", show.time(0))
    for ms, text in pairs { [0] = "0 s", [59999] = "59 s", [65000] = "1 min 5 s",
      [3661000] = "1 h 1 min", [90000000] = "1 d 1 h" } do
      assert.equal(text, show.age(ms))
    end
  end)
end)
