-- herald lanes: from its words to what it prints.

local helper = require "helper"
local herald = helper.herald

describe("herald lanes", function()
  before_each(function() helper.enter 'return { store = "shop.db" }' end)
  after_each(helper.leave)

  local BEHIND <const> = math.maxinteger

  local function add_lanes()
    local retry = { queue = "q", lane = "business_key1=16", first_at = 1763999990000, attempts = 2, error = "not\nyet" }
    for id, due_at in pairs { [4] = 1764000000123, [14] = BEHIND, [15] = BEHIND, [16] = BEHIND } do
      retry.id, retry.due_at = id, due_at
      helper.add("herald_retry", retry)
    end
    helper.add("herald_dead", { id = 7, side = "inbox", queue = "q", lane = "business_key1=17", holds = 1, attempts = 5,
      at = 1763999990000, error = "no", generation = 1 })
    helper.add("herald_outbox", { id = 9, type = "t", lane = "business_key1=18" })
    helper.add("herald_outbox", { id = 10, type = "t", lane = "business_key1=18", due_at = BEHIND })
  end

  it("list shows what each lane waits for", function()
    add_lanes()
    assert.same({ 0, "HEAD    ID  DUE                   QUEUE  LANE              BEHIND  TRIES  ERROR\n"
      .. "retry   4   2025-11-24T16:00:00Z  q      business_key1=16  3       2      not yet\n"
      .. "dead    7   -                     q      business_key1=17  0       5      no\n"
      .. "outbox  9   -                     -      business_key1=18  1       0      -\n", "" },
      { herald("lanes", "list") })
    assert.same({ "shop.db", 100 }, { helper.call "lanes_list" })
  end)

  it("list --json has every part", function()
    add_lanes()
    local _, out = herald("lanes", "list", "--json", "--limit", "5")
    assert.equal('[{"head":"retry","id":4,"queue":"q","lane":"business_key1=16","waiting":3,'
      .. '"attempts":2,"due_at":"2025-11-24T16:00:00.123Z","error":"not\\nyet"},'
      .. '{"head":"dead","id":7,"queue":"q","lane":"business_key1=17","waiting":0,"attempts":5,'
      .. '"due_at":null,"error":"no"},'
      .. '{"head":"outbox","id":9,"queue":null,"lane":"business_key1=18","waiting":1,"attempts":0,'
      .. '"due_at":null,"error":null}]\n', out)
    assert.same({ "shop.db", 5 }, { helper.call "lanes_list" })
    assert.equal(2, (herald("lanes", "list", "--limit", "0")))
  end)

  it("list says when none waits", function()
    helper.make_store "shop.db"
    assert.same({ 0, "no lane waits\n", "" }, { herald("lanes", "list") })
    assert.same({ 0, "[]\n", "" }, { herald("lanes", "list", "--json") })
  end)

  it("release names what it takes out of the order", function()
    add_lanes()
    assert.same({ 0, "released 1 lane; 1 skipped: no lane waits for it\n", "" },
      { herald("lanes", "release", "retry", "4", "5") })
    local path, pick = helper.call "lanes_release_retry"
    assert.same({ "shop.db", { 4, 5 } }, { path, pick.ids })
    assert.equal("released 1 lane\n", (select(2, herald("lanes", "release", "outbox", "9"))))
    assert.equal('{"released":1,"skipped":0,"dry_run":false}\n',
      (select(2, herald("lanes", "release", "dead", "7", "--json"))))
    assert.equal("nothing matches; 1 skipped: no lane waits for it\n",
      (select(2, herald("lanes", "release", "outbox", "99"))))
    assert.equal("14\n15\n16\n", helper.sql "select id from herald_retry where lane is not null order by id")
    assert.equal("0|1\n", helper.sql "select (select sum(holds) from herald_dead), count(lane) from herald_outbox")
  end)

  it("release must know what is meant", function()
    assert.equal(2, (herald("lanes", "release")))
    assert.equal(2, (herald("lanes", "release", "retry")))
    assert.equal(2, (herald("lanes", "release", "queue", "4")))
    assert.equal(2, (herald("lanes", "release", "retry", "four")))
    assert.is_nil(helper.call "lanes_release_retry")
  end)
end)
