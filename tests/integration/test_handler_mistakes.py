"""Handlers that go wrong in the middle of a turn, and their neighbours in the same turn.

All messages of a test are emitted in one transaction before the router starts, so that they
are taken in one turn.
"""

from harness import Case

ROUTE = 'herald.route { type = "bad", to = herald.fanout "$exchange" }\n'
SCHEMA = """
create table parent (id integer primary key);
create table child (parent integer references parent (id) deferrable initially deferred);
create table one (id integer primary key);
insert into one values (1);
create trigger no_beast before insert on parent when new.id = 666
  begin select raise(rollback, 'not the beast'); end;
"""


class Handlers(Case):
    def turn(self, handler, bad=1):
        """20 good messages with bad ones in the middle, through the embedded broker."""
        router = self.recorder(ROUTE + handler, broker="embedded", handler_memory="16MiB",
                               # none of them ends by its time, however slow the machine is
                               handler_timeout="5m", heartbeat="10m")
        router.write("migrations/002_more.sql", SCHEMA)
        router.run("run", "--until-idle")
        rows = [("note", f"k{n}") for n in range(10)] + [("bad", "x")] * bad
        rows += [("note", f"k{n}") for n in range(10, 20)]
        router.sql("begin immediate;" + "".join(
            f"insert into herald_outbox (type, business_key1) values ('{type_}', '{key}');"
            for type_, key in rows) + "commit;")
        router.start()
        return router

    def check_neighbours(self, router, others=0):
        """Each was handled once, and of the bad ones so many returned."""
        self.wait_equal("the neighbours", router.effects, [f"k{n}" for n in range(20)])
        self.assertEqual(router.counter("handled"), 20 + others)
        self.assertEqual(router.value("select count(*) from herald_retry"), 0)
        self.assertEqual(router.rows("pragma integrity_check"), [("ok",)])

    def check_dead(self, router, *words, attempts=3, count=1, others=0):
        letters = self.wait_dead(router, count)
        for letter in letters:
            self.assert_words(letter["error"], *words)
            self.assertEqual((letter["attempts"], letter["type"]), (attempts, "bad"))
        self.check_neighbours(router, others)
        return letters[0]

    def test_broken_deferred_foreign_key(self):
        """docs/faults.md#f38"""
        router = self.turn("""
            herald.on("bad", "*", function(msg, tx) tx:exec("insert into child values (5)") end)
            """)
        self.check_dead(router, "foreign key")
        self.assertEqual(router.value("select count(*) from child"), 0)

    def test_mended_deferred_foreign_key(self):
        """docs/faults.md#f38"""
        router = self.turn("""
            herald.on("bad", "*", function(msg, tx)
              tx:exec("insert into child values (5)")
              tx:exec("insert into parent values (5)")
            end)
            """)
        self.wait_equal("the child", lambda: router.column("select parent from child"), [5])
        self.assertEqual(router.dead(), [])

    def test_insert_or_rollback(self):
        """docs/faults.md#f38: it ends the transaction of all."""
        router = self.turn("""
            herald.on("bad", "*", function(msg, tx)
              tx:exec("insert or rollback into one values (1)")
            end)
            """)
        self.check_dead(router, "one|transaction|rollback|constraint", r"rules/b\.lua:\d+")
        self.assertGreaterEqual(router.counter("reruns"), 1)

    def test_insert_or_rollback_hidden_by_pcall(self):
        """docs/faults.md#f38: and by three of them in one turn, which write on afterwards."""
        router = self.turn("""
            herald.on("bad", "*", function(msg, tx)
              pcall(tx.exec, tx, "insert or rollback into one values (1)")
              pcall(tx.exec, tx, "insert into one values (2)")
            end)
            """, bad=3)
        self.check_dead(router, ".", count=3)
        self.assertEqual(router.column("select id from one"), [1])

    def test_trigger_that_rolls_back(self):
        """docs/faults.md#f38"""
        router = self.turn("""
            herald.on("bad", "*", function(msg, tx) tx:exec("insert into parent values (666)") end)
            """)
        self.check_dead(router, "not the beast")

    def test_statements_that_are_not_allowed(self):
        """docs/faults.md#f38"""
        statements = ("commit", "rollback", "savepoint s", "pragma foreign_keys = off", "vacuum",
                      "attach 'x' as x", "delete from herald_outbox", "create table sneaky (x)",
                      "update herald_inbox set state = 0", "drop table effect",
                      "insert into herald_outbox (type) values ('note')")
        router = self.recorder(ROUTE + """
            herald.on("bad", "*", function(msg, tx) tx:exec(msg.business_key1) end)
            """, broker="embedded").start()
        router.sql("begin;" + "".join(
            f"""insert into herald_outbox (type, business_key1)
                values ('{type_}', '{statement.replace("'", "''")}');"""
            for statement in statements for type_ in ("bad", "note")) + "commit;")
        letters = self.wait_dead(router, len(statements))
        self.assertEqual(sorted(letter["business_key1"] for letter in letters), sorted(statements))
        self.assertEqual({letter["attempts"] for letter in letters}, {3})
        self.wait_equal("the neighbours", router.effects, list(statements))

    def test_error_that_is_a_table(self):
        """docs/faults.md#f37"""
        router = self.turn("""
            herald.on("bad", "*", function() error({ code = 7, why = "a table" }) end)
            """)
        self.check_dead(router, "table")

    def test_error_that_is_nothing(self):
        """docs/faults.md#f37"""
        router = self.turn('herald.on("bad", "*", function() error() end)')
        self.assertNotEqual(self.check_dead(router, ".")["error"], "")

    def test_error_whose_text_fails(self):
        """docs/faults.md#f37"""
        router = self.turn("""
            herald.on("bad", "*", function()
              error(setmetatable({}, { __tostring = function() error("again") end }))
            end)
            """)
        self.check_dead(router, ".")

    def test_long_error_is_cut(self):
        """docs/faults.md#f37"""
        router = self.turn('herald.on("bad", "*", function() error(("长"):rep(1000000)) end)')
        self.assertLess(len(self.check_dead(router, "长")["error"]), 5000)

    def test_message_kept_beyond_its_handler(self):
        router = self.turn("""
            local kept_msg, kept_tx
            herald.on("bad", "*", function(msg, tx)
              if kept_msg then
                local ok, why = pcall(function() return kept_msg.business_key1 end)
                if ok then herald.reject("the old message still speaks") end
                herald.reject(tostring(why) .. " / " .. tostring(kept_msg))
              end
              kept_msg, kept_tx = msg, tx
            end)
            """, bad=2)
        self.check_dead(router, "after its handler returned", attempts=1, others=1)

    def test_transaction_kept_beyond_its_handler(self):
        router = self.turn("""
            local kept
            herald.on("bad", "*", function(msg, tx)
              if kept then kept:exec("insert into effect (key1) values ('stolen')") end
              kept = tx
            end)
            """, bad=2)
        self.check_dead(router, "after its handler returned", others=1)

    def check_endless(self, *bodies):
        router = self.recorder(ROUTE + "".join(
            f'herald.on("bad", "{n}", function(msg, tx) {body} end)\n'
            for n, body in enumerate(bodies)), broker="embedded", handler_timeout="100ms").start()
        for number in range(len(bodies)):
            router.emit("bad", None, str(number))
            router.emit("note", str(number))
        letters = self.wait_dead(router, len(bodies))
        self.assertEqual({letter["attempts"] for letter in letters}, {3})
        for letter in letters:
            self.assert_words(letter["error"], "time|limit|100 ?ms")
        self.wait_equal("the neighbours", router.effects, [str(n) for n in range(len(bodies))])

    def test_endless_loops(self):
        """docs/faults.md#f35"""
        self.check_endless(
            "while true do end", "while true do pcall(function() while true do end end) end",
            "coroutine.wrap(function() while true do end end)()",
            "local x <close> = setmetatable({}, { __close = function() while true do end end })")

    def test_endless_statements(self):
        """docs/faults.md#f38: the limit of time counts inside SQL too, reading and writing."""
        endless = "with recursive c(n) as (select 1 union all select n + 1 from c) "
        self.check_endless(
            f'tx:value("{endless} select count(*) from c")',
            f'pcall(tx.exec, tx, "{endless} insert into effect (key1) select n from c")')

    def test_memory_hog(self):
        """docs/faults.md#f37"""
        router = self.turn("""
            herald.on("bad", "*", function()
              local t = {}
              while true do t[#t + 1] = ("x"):rep(100000) .. #t end
            end)
            """)
        self.check_dead(router, "memory")

    def test_deep_recursion(self):
        """docs/faults.md#f37"""
        router = self.turn("""
            local function deeper(n) return 1 + deeper(n + 1) end
            herald.on("bad", "*", function() return deeper(1) end)
            """)
        self.check_dead(router, "overflow|memory")
