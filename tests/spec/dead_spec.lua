-- herald dead: from its words to what it prints.

local helper = require "helper"
local herald = helper.herald

describe("herald dead", function()
  local letter

  before_each(function()
    helper.enter 'return { store = "shop.db" }'
    letter = {
      id = 1, at = 1764000000123, side = "inbox", queue = "q", message_id = "m:1", type = "t",
      business_key1 = "404", business_key2 = "60201", attempts = 3, error = "no choice\n404", generation = 1,
      body = "{}", error_group = 0x0123abcd,
    }
  end)

  after_each(helper.leave)

  local function add(changes, times)
    local row = {}
    for column, value in pairs(letter) do row[column] = value end
    for column, value in pairs(changes or {}) do row[column] = value or nil end
    helper.add("herald_dead", row, times)
  end

  local function count(what) return math.tointeger(tonumber(helper.sql("select count(*) from " .. what))) end

  describe("list", function()
    it("says when there is none, or none that is meant", function()
      helper.make_store "shop.db"
      assert.same({ 0, "no dead letters\n", "" }, { herald("dead", "list") })
      assert.same({ 0, "[]\n", "" }, { herald("dead", "list", "--json") })
      assert.same({ 0, "nothing matches\n", "" }, { herald("dead", "list", "--type", "t") })
      assert.same({ 0, "[]\n", "" }, { herald("dead", "list", "--type", "t", "--json") })
    end)

    it("shows a letter a line", function()
      add { type = "付款" }
      local _, out = herald("dead", "list")
      assert.equal("ID  AT                    QUEUE  TYPE  KEY1  ORDER  TRIES  ERROR\n"
        .. "1   2025-11-24T16:00:00Z  q      付款  404   60201  3      no choice 404\n", out)
    end)

    it("--json has every part of a letter", function()
      add()
      local _, out = herald("dead", "list", "--json")
      assert.truthy(out:find('[{"id":1,"message_id":"m:1","type":"t","order_type":"60201","queue":"q",'
        .. '"side":"inbox","attempts":3,"error":"no choice\\n404","at":"2025-11-24T16:00:00.123Z"',
        1, true), out)
      assert.truthy(out:find('"business_key3":null', 1, true), out)
      assert.truthy(out:find('"group":"0123abcd"', 1, true), out)
      assert.truthy(out:find('"body":"{}"}]\n', 1, true), out)
    end)

    it("--json shows a body that is no UTF-8 in base64", function()
      local coded = { { "\xff", "/w==" }, { "\xff\xfe", "//4=" }, { "\xff\xfea", "//5h" }, { "\xff\xfeab", "//5hYg==" } }
      for id, pair in ipairs(coded) do add { id = id, body = pair[1] } end
      local _, out = herald("dead", "list", "--json")
      for id, pair in ipairs(coded) do
        assert.matches(('"id":%d,[^}]*"body_base64":"%s"}'):format(id, (pair[2]:gsub("%p", "%%%0"))), out)
      end
    end)

    it("hands every filter to the core", function()
      helper.make_store "shop.db"
      assert.equal(0, (herald("dead", "list", "7", "9", "7", "--type", "t", "--order-type", "60201",
        "--queue", "q", "--side", "inbox", "--error", "no %", "--group", "1F03", "--older-than", "1h",
        "--newer-than", "7d", "--limit", "5", "--after", "3")))
      local store, pick = helper.call "dead_list"
      assert.equal("shop.db", store)
      assert.same({
        any = true, ids = { 7, 9 }, type = "t", order_type = "60201", queue = "q", side = "inbox",
        error = "no %", group = 0x1f03, older_ms = 3600000, newer_ms = 7 * 86400000, limit = 5, after = 3,
      }, pick)
    end)

    it("finds by each filter what fits", function()
      add()
      add { id = 2, side = "outbox", queue = "", type = "u", error = "no %", error_group = 7 }
      add { id = 3, queue = "p", business_key2 = "7", at = os.time() * 1000 }
      for words, id in pairs {
        [{ "2" }] = 2, [{ "--type", "u" }] = 2, [{ "--side", "outbox" }] = 2, [{ "--error", "no %" }] = 2,
        [{ "--group", "7" }] = 2, [{ "--queue", "p" }] = 3, [{ "--order-type", "7" }] = 3,
        [{ "--newer-than", "1d" }] = 3, [{ "--older-than", "1d", "--limit", "1" }] = 1, [{ "--after", "2" }] = 3,
      } do
        local _, out = herald("dead", "list", table.unpack(words))
        assert.matches(("^ID [^\n]*\n%d [^\n]*\n$"):format(id), out)
      end
      assert.equal("nothing matches\n", (select(2, herald("dead", "list", "--type", "u", "--queue", "q"))))
    end)

    it("says where to go on after a full page", function()
      add()
      local _, _, err = herald("dead", "list", "--limit", "1")
      assert.equal("herald: the first 1; more with --after 1\n", err)
      assert.equal("", (select(3, herald("dead", "list", "--limit", "1", "--json"))))
      assert.equal("", (select(3, herald("dead", "list", "--limit", "2"))))
    end)

    for _, case in ipairs {
      { { "--limit", "0" }, '--limit is "0", but must be a whole number from 1 to 1000000' },
      { { "--after=-1" }, '--after is "-1"' },
      { { "x" }, 'ID is "x", but must be a whole number' },
      { { "0" }, 'ID is "0", but must be a whole number' },
      { { "--older-than", "soon" }, '--older-than is "soon", but must be a duration such as' },
      { { "--newer-than=-1s" }, '--newer-than is "-1s", but must be a duration such as' },
      { { "--group", "xyz" }, '--group is "xyz", but must be a group\'s number' },
      { { "--group", "123456789" }, '--group is "123456789"' },
      { { "--error", "" }, "--error needs a text to look for" },
      { { "--side", "left" }, "'--side' must be one of 'inbox', 'outbox'" },
    } do
      it("refuses " .. table.concat(case[1], " "), function()
        local code, _, err = herald("dead", "list", table.unpack(case[1]))
        assert.equal(2, code)
        assert.truthy(err:find(case[2], 1, true), err)
        assert.is_nil(helper.call "dead_list")
      end)
    end
  end)

  describe("show", function()
    it("shows one, whole", function()
      add { traceback = "stack traceback:\n\trules/a.lua:3" }
      local _, out = herald("dead", "show", "1")
      assert.matches("business keys +404  60201  %-\n", out)
      assert.matches("rules +generation 1\n", out)
      assert.matches("body +{}\n", out)
      assert.matches("group +0123abcd\n", out)
      assert.matches("rules/a.lua:3\n$", out)
    end)

    it("tells what each try came to", function()
      add { tries = [[
{"at":1764000000000,"attempt":1,"generation":1,"error":"first","traceback":"rules/a.lua:5\n\u001b[2J"}
{"at":1764000000123,"attempt":2,"generation":2,"error":"no\u001b[2J"}
]] }
      local _, out = herald("dead", "show", "1")
      assert.truthy(out:find([[

TRIED AT                  ATTEMPT  RULES         ERROR   WHERE
2025-11-24T16:00:00.000Z  1        generation 1  first   rules/a.lua:5
2025-11-24T16:00:00.123Z  2        generation 2  no [2J  -
]], 1, true), out)
      local _, json = herald("dead", "show", "1", "--json")
      assert.truthy(json:find('"tries":[{"at":"2025-11-24T16:00:00.000Z","attempt":1,"generation":1,'
        .. '"error":"first","traceback":"rules/a.lua:5\\n\\u001b[2J"},{"at":"2025-11-24T16:00:00.123Z",'
        .. '"attempt":2,"generation":2,"error":"no\\u001b[2J"}],"body"', 1, true), json)
    end)

    it("lets no terminal sequence through", function()
      add { error = "a\27[2J", message_id = "m\27[2J", type = "t\27[2J", headers = '{"a":"\27[2J"}',
        business_key1 = "k\27[2J" }
      local _, out = herald("dead", "show", "1")
      assert.is_nil(out:find("\27", 1, true))
    end)

    it("fails for a letter that is not there", function()
      helper.make_store "shop.db"
      assert.same({ 1, "", "herald: no dead letter 9: `herald dead list` shows those there are\n" },
        { herald("dead", "show", "9") })
    end)

    it("refuses what is no id", function()
      local code, _, err = herald("dead", "show", "x")
      assert.equal(2, code)
      assert.matches('^herald: ID is "x"', err)
    end)
  end)

  describe("groups", function()
    it("says when there is none", function()
      helper.make_store "shop.db"
      assert.same({ 0, "no dead letters\n" }, { herald("dead", "groups"), (select(2, herald("dead", "groups"))) })
      assert.equal("[]\n", (select(2, herald("dead", "groups", "--json"))))
    end)

    it("shows a group a line, as text and as JSON", function()
      add { side = "outbox", queue = "", error = "no route\27\nmore" }
      add({ id = false, side = "outbox", queue = "", at = 1764000060000, error = "no route" }, 499)
      local _, out = herald("dead", "groups")
      assert.equal("GROUP     LETTERS  FIRST                 LAST                  QUEUE   "
        .. "ERROR OF THE FIRST\n0123abcd  500      2025-11-24T16:00:00Z  2025-11-24T16:01:00Z  outbox  "
        .. "no route  more\n", out)
      local _, json = herald("dead", "groups", "--json")
      assert.equal('[{"group":"0123abcd","count":500,"side":"outbox","queue":null,'
        .. '"first_at":"2025-11-24T16:00:00.123Z","last_at":"2025-11-24T16:01:00.000Z",'
        .. '"error":"no route\\u001b\\nmore"}]\n', json)
    end)
  end)

  for verb, done in pairs { replay = "replayed", drop = "dropped" } do
    local call = "dead_" .. verb

    describe(verb, function()
      it("must know what is meant", function()
        local code, out, err = herald("dead", verb)
        assert.same({ 2, "" }, { code, out })
        assert.equal(("herald: %s which? Give ids or filters, or --all for every one\n"):format(verb), err)
        assert.equal(2, (herald("dead", verb, "--limit", "5")))
        assert.equal(2, (herald("dead", verb, "--dry-run")))
        assert.equal(2, (herald("dead", verb, "--all", "7")))
        assert.is_nil(helper.call(call))
      end)

      it("says what it did", function()
        add({ id = false }, 500)
        assert.same({ 0, done .. " 500 dead letters\n", "" }, { herald("dead", verb, "--all") })
        local _, pick = helper.call(call)
        assert.same({ any = false, dry_run = false }, pick)
        add()
        add { id = 2, queue = "p" }
        assert.same({ 0, done .. " 1 dead letter\n", "" }, { herald("dead", verb, "--queue", "q") })
        assert.equal(1, count "herald_dead")
        assert.equal(verb == "replay" and 501 or 0, count "herald_retry")
      end)

      it("counts what is not there any more", function()
        add()
        local _, out = herald("dead", verb, "1", "2", "2", "3")
        assert.equal(done .. " 1 dead letter; 2 skipped: not among the dead letters, replayed or dropped "
          .. "already\n", out)
        add { id = 2 }
        local _, json = herald("dead", verb, "1", "2", "3", "--json")
        assert.equal(('{"%s":1,"skipped":2,"dry_run":false}\n'):format(done), json)
      end)

      it("is done when nothing matches", function()
        add { type = "u" }
        assert.same({ 0, "nothing matches\n", "" }, { herald("dead", verb, "--type", "t") })
        local code, json = herald("dead", verb, "--type", "t", "--json")
        assert.same({ 0, ('{"%s":0,"skipped":0,"dry_run":false}\n'):format(done) }, { code, json })
        assert.equal(1, count "herald_dead")
      end)

      it("--dry-run only says", function()
        add({ id = false }, 3)
        add { id = 4, error_group = 1 }
        local _, out = herald("dead", verb, "--group", "0123abcd", "--dry-run")
        assert.equal(("would %s 3 dead letters\n"):format(verb), out)
        local _, pick = helper.call(call)
        assert.is_true(pick.dry_run)
        assert.equal(0x0123abcd, pick.group)
        assert.equal(4, count "herald_dead")
      end)

      it("fails with the store's words", function()
        add({ id = false }, 501)
        helper.sql [[create trigger no_space before delete on herald_dead when old.id = 501
          begin select raise(abort, 'no space left'); end]]
        local code, out, err = herald("dead", verb, "--all")
        assert.same({ 1, "" }, { code, out })
        assert.matches("^herald: stopped after 500: .*no space left\n$", err)
        assert.equal(1, count "herald_dead")
        helper.sql "update herald_meta set value = 99 where key = 'schema_version'"
        code, out, err = herald("dead", verb, "--all")
        assert.same({ 2, "" }, { code, out })
        assert.matches("^herald: [^\n]*shop%.db has schema version 99, made by herald [^\n]*\n$", err)
      end)

      it("tells a terminal how far it is", function()
        helper.stub("stderr_is_terminal", true)
        add({ id = false }, 1001)
        local _, out, err = herald("dead", verb, "--all")
        assert.equal(done .. " 1001 dead letters\n", out)
        assert.equal(("\rherald: %s 500 so far\rherald: %s 1000 so far\n"):format(done, done), err)
      end)
    end)
  end

  describe("edit", function()
    it("hands over what shall change", function()
      add { id = 7, headers = '{"x":0,"z":1}' }
      local code, out = herald("dead", "edit", "7", "--body", '{"a":1}', "--type", "t", "--key1", "a", "--key2",
        "b", "--key3", "c", "--header", "x=1=2", "--header", "y=", "--header", "z")
      assert.equal(0, code)
      assert.equal("edited dead letter 7; send it with: herald dead replay 7\n", out)
      local store, id, edit, dry_run = helper.call "dead_edit"
      assert.same({ "shop.db", 7, false }, { store, id, dry_run })
      assert.same({
        body = '{"a":1}', type = "t", key1 = "a", key2 = "b", key3 = "c",
        headers = { { name = "x", value = "1=2" }, { name = "y", value = "" }, { name = "z" } },
      }, edit)
      local _, json = herald("dead", "show", "7", "--json")
      for _, part in ipairs { '"type":"t"', '"business_key1":"a","business_key2":"b","business_key3":"c"',
        [["headers":"{\"x\":\"1=2\",\"y\":\"\"}"]], [["body":"{\"a\":1}"]] } do
        assert.truthy(json:find(part, 1, true), json)
      end
    end)

    it("--dry-run and --json say so", function()
      add { id = 7 }
      assert.equal("would edit dead letter 7\n", (select(2, herald("dead", "edit", "7", "--type", "u", "--dry-run"))))
      assert.is_true((select(4, helper.call "dead_edit")))
      assert.equal(0, count "herald_dead where type = 'u'")
      assert.equal('{"edited":1,"dry_run":false}\n',
        (select(2, herald("dead", "edit", "7", "--type", "u", "--json"))))
      assert.equal(1, count "herald_dead where type = 'u'")
    end)

    it("refuses what changes nothing or cannot be read", function()
      for words, wanted in pairs {
        [{}] = "edit what? Give --body",
        [{ "--header", "=v" }] = '--header is "=v", but must be NAME=VALUE',
        [{ "--header", "" }] = '--header is "", but must be NAME=VALUE',
      } do
        local code, _, err = herald("dead", "edit", "7", table.unpack(words))
        assert.equal(2, code)
        assert.truthy(err:find(wanted, 1, true), err)
      end
      assert.same({ 1, "", "herald: --body: /no/such: No such file or directory\n" },
        { herald("dead", "edit", "7", "--body", "@/no/such") })
      assert.is_nil(helper.call "dead_edit")
    end)

    it("says that nothing was changed when it is refused", function()
      add { id = 7 }
      local code, out, err = herald("dead", "edit", "7", "--body", "{")
      assert.same({ 1, "" }, { code, out })
      assert.matches("^herald: dead letter 7 was not changed: %-%-body: [^\n]+\n$", err)
      assert.equal(1, count "herald_dead where body = x'7b7d'")
    end)
  end)
end)
