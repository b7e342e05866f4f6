-- herald dead: from its words to what it prints.

local helper = require "helper"
local herald = helper.herald

describe("herald dead", function()
  local undo, letter

  before_each(function()
    helper.reset()
    undo = helper.with_herald_lua 'return { store = "shop.db" }'
    letter = {
      id = 1, at = 1764000000123, side = "inbox", queue = "q", message_id = "m:1", type = "t",
      key1 = "404", key2 = "60201", attempts = 3, error = "no choice\n404", generation = 1,
      body = "{}", group = "0123abcd",
    }
  end)

  after_each(function() undo() end)

  describe("list", function()
    it("says when there is none, or none that is meant", function()
      helper.answers.dead_list = { {} }
      assert.same({ 0, "no dead letters\n", "" }, { herald("dead", "list") })
      assert.same({ 0, "[]\n", "" }, { herald("dead", "list", "--json") })
      assert.same({ 0, "nothing matches\n", "" }, { herald("dead", "list", "--type", "t") })
      assert.same({ 0, "[]\n", "" }, { herald("dead", "list", "--type", "t", "--json") })
    end)

    it("shows a letter a line", function()
      letter.type = "付款"
      helper.answers.dead_list = { { letter } }
      local _, out = herald("dead", "list")
      assert.equal("ID  AT                    QUEUE  TYPE  KEY1  ORDER  TRIES  ERROR\n"
        .. "1   2025-11-24T16:00:00Z  q      付款  404   60201  3      no choice 404\n", out)
    end)

    it("--json has every part of a letter", function()
      helper.answers.dead_list = { { letter } }
      local _, out = herald("dead", "list", "--json")
      assert.truthy(out:find('[{"id":1,"message_id":"m:1","type":"t","order_type":"60201","queue":"q",'
        .. '"side":"inbox","attempts":3,"error":"no choice\\n404","at":"2025-11-24T16:00:00.123Z"',
        1, true), out)
      assert.truthy(out:find('"business_key3":null', 1, true), out)
      assert.truthy(out:find('"group":"0123abcd"', 1, true), out)
      assert.truthy(out:find('"body":"{}"}]\n', 1, true), out)
    end)

    it("--json shows a body that is no UTF-8 in base64", function()
      for bytes, coded in pairs { ["\xff"] = "/w==", ["\xff\xfe"] = "//4=", ["\xff\xfea"] = "//5h",
        ["\xff\xfeab"] = "//5hYg==" } do
        letter.body = bytes
        helper.answers.dead_list = { { letter } }
        local _, out = herald("dead", "list", "--json")
        assert.truthy(out:find(('"body_base64":"%s"}]'):format(coded), 1, true), out)
      end
    end)

    it("hands every filter to the core", function()
      helper.answers.dead_list = { {} }
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

    it("says where to go on after a full page", function()
      helper.answers.dead_list = { { letter } }
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
      letter.traceback = "stack traceback:\n\trules/a.lua:3"
      helper.answers.dead_get = { letter }
      local _, out = herald("dead", "show", "1")
      assert.matches("business keys +404  60201  %-\n", out)
      assert.matches("rules +generation 1\n", out)
      assert.matches("body +{}\n", out)
      assert.matches("group +0123abcd\n", out)
      assert.matches("rules/a.lua:3\n$", out)
    end)

    it("tells what each try came to", function()
      letter.tries = { { at = 1764000000000, attempt = 1, generation = 1, error = "first",
                         traceback = "rules/a.lua:5\n\27[2J" },
                       { at = 1764000000123, attempt = 2, generation = 2, error = "no\27[2J" } }
      helper.answers.dead_get = { letter }
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
      letter.error, letter.message_id, letter.type = "a\27[2J", "m\27[2J", "t\27[2J"
      letter.headers, letter.key1 = '{"a":"\27[2J"}', "k\27[2J"
      helper.answers.dead_get = { letter }
      local _, out = herald("dead", "show", "1")
      assert.is_nil(out:find("\27", 1, true))
    end)

    it("fails for a letter that is not there", function()
      helper.answers.dead_get = { nil, "failed", "no dead letter 9" }
      assert.same({ 1, "", "herald: no dead letter 9\n" }, { herald("dead", "show", "9") })
    end)

    it("refuses what is no id", function()
      local code, _, err = herald("dead", "show", "x")
      assert.equal(2, code)
      assert.matches('^herald: ID is "x"', err)
    end)
  end)

  describe("groups", function()
    it("says when there is none", function()
      helper.answers.dead_groups = { {} }
      assert.same({ 0, "no dead letters\n" }, { herald("dead", "groups"), (select(2, herald("dead", "groups"))) })
      assert.equal("[]\n", (select(2, herald("dead", "groups", "--json"))))
    end)

    it("shows a group a line, as text and as JSON", function()
      helper.answers.dead_groups = { { {
        group = "0123abcd", count = 500, first_at = 1764000000123, last_at = 1764000060000,
        side = "outbox", error = "no route\27\nmore",
      } } }
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
        helper.answers[call] = { 500 }
        assert.same({ 0, done .. " 500 dead letters\n", "" }, { herald("dead", verb, "--all") })
        local _, pick = helper.call(call)
        assert.same({ any = false, dry_run = false }, pick)
        helper.answers[call] = { 1 }
        assert.same({ 0, done .. " 1 dead letter\n", "" }, { herald("dead", verb, "--queue", "q") })
      end)

      it("counts what is not there any more", function()
        helper.answers[call] = { 1 }
        local _, out = herald("dead", verb, "1", "2", "2", "3")
        assert.equal(done .. " 1 dead letter; 2 skipped: not among the dead letters, replayed or dropped "
          .. "already\n", out)
        local _, json = herald("dead", verb, "1", "2", "3", "--json")
        assert.equal(('{"%s":1,"skipped":2,"dry_run":false}\n'):format(done), json)
      end)

      it("is done when nothing matches", function()
        helper.answers[call] = { 0 }
        assert.same({ 0, "nothing matches\n", "" }, { herald("dead", verb, "--type", "t") })
        local code, json = herald("dead", verb, "--type", "t", "--json")
        assert.same({ 0, ('{"%s":0,"skipped":0,"dry_run":false}\n'):format(done) }, { code, json })
      end)

      it("--dry-run only says", function()
        helper.answers[call] = { 3 }
        local _, out = herald("dead", verb, "--group", "0123abcd", "--dry-run")
        assert.equal(("would %s 3 dead letters\n"):format(verb), out)
        local _, pick = helper.call(call)
        assert.is_true(pick.dry_run)
        assert.equal(0x0123abcd, pick.group)
      end)

      it("fails with the store's words", function()
        helper.answers[call] = { nil, "config", "shop.db has schema version 1" }
        assert.same({ 2, "", "herald: shop.db has schema version 1\n" }, { herald("dead", verb, "--all") })
        helper.answers[call] = { nil, "failed", "stopped after 500: no space left" }
        assert.same({ 1, "", "herald: stopped after 500: no space left\n" },
          { herald("dead", verb, "--all") })
      end)

      it("tells a terminal how far it is", function()
        helper.answers.terminal = true
        local original = helper.core[call]
        helper.core[call] = function(_, _, tell)
          tell(500)
          tell(507)
          return 507
        end
        local _, out, err = herald("dead", verb, "--all")
        helper.core[call] = original
        assert.equal(done .. " 507 dead letters\n", out)
        assert.equal(("\rherald: %s 500 so far\rherald: %s 507 so far\n"):format(done, done), err)
      end)
    end)
  end

  describe("edit", function()
    it("hands over what shall change", function()
      helper.answers.dead_edit = { true }
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
    end)

    it("--dry-run and --json say so", function()
      helper.answers.dead_edit = { true }
      assert.equal("would edit dead letter 7\n", (select(2, herald("dead", "edit", "7", "--type", "t", "--dry-run"))))
      assert.is_true((select(4, helper.call "dead_edit")))
      assert.equal('{"edited":1,"dry_run":false}\n',
        (select(2, herald("dead", "edit", "7", "--type", "t", "--json"))))
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
      helper.answers.dead_edit = { nil, "failed", "--body: bad JSON" }
      assert.same({ 1, "", "herald: dead letter 7 was not changed: --body: bad JSON\n" },
        { herald("dead", "edit", "7", "--body", "{") })
    end)
  end)
end)
