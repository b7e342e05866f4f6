local nearest = require "herald.nearest"

describe("nearest", function()
  local keys = { "attempts", "delay", "factor", "max_delay", "queue", "from", "business_key1" }

  -- word, and what was meant (nil: nothing)
  local cases = {
    { "queue", "queue" },
    { "qeue", "queue" }, -- a letter is missing
    { "queuue", "queue" }, -- one too many
    { "queie", "queue" }, -- a wrong one
    { "qeuue", "queue" }, -- two neighbours swapped
    { "QUEUE", "queue" },
    { "maxDelay", "max_delay" },
    { "max-delay", "max_delay" },
    { "businessKey1", "business_key1" },
    { "attempt", "attempts" },
    { "form", "from" },
    { "zzz", nil },
    { "", nil },
    { "f", nil },
  }
  for _, case in ipairs(cases) do
    it(("of %q is %s"):format(case[1], case[2]), function()
      assert.equal(case[2], nearest(case[1], keys))
    end)
  end

  it("finds slips alone where that is asked for", function()
    local names = { "x-max-length", "x-max-length-bytes", "x-expires" }
    for _, case in ipairs { { "x-max-lenght" , "x-max-length" }, { "x_max_length", "x-max-length" },
      { "X-Max-Length", "x-max-length" }, { "x-max-length-byte", "x-max-length-bytes" },
      { "x-max-length-foo", nil }, { "x-max", nil }, { "x-exp", nil } } do
      assert.equal(case[2], nearest(case[1], names, true))
    end
    assert.equal("x-max-length", nearest("x-max-length-foo", names))
  end)

  it("takes the first of two that are as near", function()
    assert.equal("cat", nearest("cot", { "cat", "cut" }))
  end)

  it("prefers what is nearer, wherever it stands", function()
    assert.equal("heartbeat", nearest("heartbeta", { "heartbeats", "heartbeat" }))
  end)

  it("knows nothing among nothing", function()
    assert.is_nil(nearest("queue", {}))
  end)

  it("does not measure what is no word, or an endless one", function()
    assert.is_nil(nearest(1, keys))
    assert.is_nil(nearest(nil, keys))
    assert.is_nil(nearest(("queue"):rep(100), keys))
  end)
end)
