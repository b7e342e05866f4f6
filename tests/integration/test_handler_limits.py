"""Handlers that nothing can interrupt, or that want all of the machine: refused, ended, or
dead letters, and their neighbours of the same turn take effect once.

test_handler_mistakes has the others of docs/faults.md#f35 to #f38.
"""

import test_handler_mistakes
from harness import RECORDER, Case

# Each of these runs in one call of C, where no limit of instructions is looked at. (A pattern
# that goes back again and again is the watchdog's affair.)
UNINTERRUPTIBLE = {
    "rep": "local s = ('x'):rep(1 << 40)",
    "rep twice": "local s = ('x'):rep(1 << 20):rep(1 << 20)",
    "table.move": "table.move({}, 1, 1 << 50, 2)",
    "table.concat": "table.concat(setmetatable({}, { __len = function() return 1 << 50 end,"
                    " __index = function() return '' end }))",
    "lying length": "for _ in ipairs(table.pack(table.unpack(setmetatable({}, {"
                    " __len = function() return 1 << 50 end })))) do end",
    "table.insert": "table.insert(setmetatable({}, { __len = function() return 1 << 50 end }),"
                    " 1, 'x')",
    "table.sort": "table.sort(setmetatable({}, { __len = function() return 1 << 30 end,"
                  " __index = function() return 1 end, __newindex = function() end }))",
    "string.format": "local s = ('%99.99f'):rep(1000):format(table.unpack({}, 1, 1000))",
    "collector": "setmetatable({}, { __gc = function() while true do end end })\n"
                 "local t = {} for i = 1, 100000 do t = { t } end error('x')",
}


class Handlers(Case):
    def bury(self, bodies, **settings):
        """One bad message for each body among good ones: all of them end dead, in time."""
        router = self.router({
            **RECORDER,
            "migrations/002_more.sql": test_handler_mistakes.SCHEMA,
            "rules/b.lua": 'local herald = require "herald"\n' + test_handler_mistakes.ROUTE + "".join(
                f'herald.on("bad", "{n}", function(msg, tx)\n{body}\nend)\n'
                for n, body in enumerate(bodies))},
            broker="embedded", **{"handler_timeout": "200ms", **settings})
        router.run("run", "--until-idle")
        router.sql("begin immediate;" + "".join(
            "insert into herald_outbox (type, business_key1, business_key2) "
            f"values ('note', '{n}', null), ('bad', null, '{n}');"
            for n in range(len(bodies))) + "commit;")
        router.start()
        return router

    def check_buried(self, router, count):
        letters = self.wait_dead(router, count)
        self.wait_equal("the neighbours", router.effects, [str(n) for n in range(count)])
        self.assertEqual(router.counter("handled"), count)
        self.assertEqual(router.value("select count(*) from herald_retry"), 0)
        return {int(letter["order_type"]): letter["error"] for letter in letters}

    def test_nothing_is_uninterruptible(self):
        """docs/faults.md#f36: what no limit of time could end is refused; the process lives on."""
        router = self.bury(list(UNINTERRUPTIBLE.values()))
        pid = router.process.pid
        errors = self.check_buried(router, len(UNINTERRUPTIBLE))
        self.assertTrue(router.running())
        self.assertEqual(router.process.pid, pid)
        for n, name in enumerate(UNINTERRUPTIBLE):
            self.assertRegex(errors[n], r"rules/b\.lua:\d+|over|limit|200 ?ms", name)

    def test_errors_of_all_sizes(self):
        """docs/faults.md#f37: they are kept, cut to size; memory comes back."""
        router = self.bury([
            "error(('x'):rep(3 << 20))",
            "local function f(n) if n == 0 then error('deep') end return (f(n - 1)) end f(100000)",
            "local t = setmetatable({}, { __tostring = function() return {} end }) error(t)",
            "error(setmetatable({}, { __tostring = function() while true do end end }))",
            "error(setmetatable({}, { __index = function() error('again') end }))",
            "xpcall(error, function() error('in the handler of errors') end) error('after it')",
            "error(coroutine.create(function() end))", "error(12345678901234567)",
            "error('\\0\\255 no text')",
        ], handler_memory="16MiB", handler_timeout="2s")  # a slow machine goes deep slowly
        errors = self.check_buried(router, 9)
        for error in errors.values():
            self.assertTrue(0 < len(error) < 5000)
        self.assertIn("deep", errors[1])
        self.assertIn("after it", errors[5])
        self.assertIn("12345678901234567", errors[7])
        self.wait_for("the memory to come back",
                      lambda: router.status()["rules"].get("memory", 0) < 8 << 20)

    def test_memory_is_given_back(self):
        """docs/faults.md#f37: after hogs of the whole limit the process is not larger for good."""
        hog = "local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end"
        router = self.bury([hog] * 3, handler_memory="32MiB")
        self.check_buried(router, 3)
        with open(f"/proc/{router.process.pid}/statm", encoding="ascii") as statm:
            resident = int(statm.read().split()[1]) * 4096
        self.assertLess(resident, 400 << 20)  # with a sanitizer's quarantine

    def test_writes_past_the_transaction(self):
        """docs/faults.md#f38: whatever a handler tries, its neighbours' writes stay."""
        router = self.bury([
            'tx:exec("begin") ', 'tx:exec("end")', 'tx:exec("release x")',
            'tx:exec("insert into herald_inbox (queue, message_id) values (\'q\', \'x\')")',
            'tx:exec("select load_extension(\'x\')")', 'tx:exec("pragma writable_schema = 1")',
            'tx:exec("insert or rollback into one values (1)")',
            'pcall(tx.exec, tx, "insert or rollback into one values (1)") herald.reject("so")',
            'tx:exec("update or rollback one set id = 1 where id > 1") '
            'tx:exec("insert into one values (1)")',
            'tx:exec("; ; ") tx:exec("select 1; drop table effect")',
        ])
        self.check_buried(router, 10)
        self.assertEqual(router.column("select id from one"), [1])
        self.assertEqual(router.rows("pragma integrity_check"), [("ok",)])
