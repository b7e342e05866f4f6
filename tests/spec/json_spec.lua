local json = require "cli.json"

describe("json.encode", function()
  it("writes the plain values", function()
    assert.equal('"a"', json.encode "a")
    assert.equal("true", json.encode(true))
    assert.equal("false", json.encode(false))
    assert.equal("1", json.encode(1))
    assert.equal("null", json.encode(json.null))
  end)

  it("keeps integers whole, up to 64 bits", function()
    assert.equal("1624350000000000001", json.encode(1624350000000000001))
    assert.equal("9223372036854775807", json.encode(math.maxinteger))
    assert.equal("-9223372036854775808", json.encode(math.mininteger))
  end)

  it("escapes texts and leaves UTF-8 alone", function()
    assert.equal([["a\"b\\c\n\u0001"]], json.encode 'a"b\\c\n\1')
    assert.equal('"王小明"', json.encode "王小明")
  end)

  it("keeps the order of an object's members", function()
    assert.equal('{"b":1,"a":2}', json.encode(json.object { { "b", 1 }, { "a", 2 } }))
  end)

  it("leaves out members without a value and writes null where it is asked to", function()
    assert.equal('{"b":null,"c":false}',
      json.encode(json.object { { "a", nil }, { "b", json.null }, { "c", false } }))
  end)

  it("writes lists, also inside objects and of objects", function()
    assert.equal("[]", json.encode {})
    assert.equal('[1,"a",[true]]', json.encode { 1, "a", { true } })
    assert.equal('{"ids":[1,2]}', json.encode(json.object { { "ids", { 1, 2 } } }))
    assert.equal('[{"a":1},{}]', json.encode { json.object { { "a", 1 } }, json.object {} })
  end)
end)
