-- What the specs stand on: the core is the binary's, and a stub stands for nothing else.

local helper = require "helper"
local core = require "herald.core"

describe("the specs' herald.core", function()
  before_each(function() helper.enter() end)
  after_each(helper.leave)

  it("goes to the real functions, and notes what they were asked", function()
    assert.same({ core.utc "2026-01-31T20:00:00+08:00" }, { 1769860800000 })
    assert.equal("2026-01-31T20:00:00+08:00", helper.call "utc")
    assert.equal(0, core.router_pid "shop.db")
  end)

  it("has all that the command line calls", function()
    local names = {}
    local folder = package.searchpath("cli.main", package.path):match "^(.*)/"
    local pipe = assert(io.popen(("cat %s/*.lua %s/*/*.lua"):format(folder, folder)))
    for name in pipe:read("a"):gmatch "%f[%w_]core%.([%w_]+)" do names[name] = true end
    pipe:close()
    assert.truthy(names.dead_list and names.ask)
    for name in pairs(names) do assert.not_nil(core[name], name) end
  end)

  it("has stubs for what needs a router, until the next spec", function()
    helper.stub("ask", nil, "nobody")
    assert.same({ nil, "nobody" }, { core.ask("herald.sock", "{}") })
    helper.leave()
    helper.enter()
    assert.same({ nil, "no router listens on herald.sock" }, { core.ask("herald.sock", "{}") })
  end)

  it("has no stub for what the binary has not, or what needs no router", function()
    assert.error_matches(function() helper.stub("aks", true) end, "herald.core has no function aks")
    assert.error_matches(function() helper.stub("version", "1.2.3") end, "herald.core has no function version")
    assert.error_matches(function() helper.stub("dead_list", {}) end, "herald.core.dead_list needs nothing that")
  end)
end)
