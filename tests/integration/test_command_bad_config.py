"""What a person got wrong before the start: exit code 2, and words that help."""

import os

import enrolment
import rabbit
from harness import RECORDER, RULES, Case


class BadConfig(Case):
    def refuse(self, router, *words, code=2):
        """`herald run` ends with the code and says all of the words."""
        said = router.run("run", code=code)
        self.assert_words(said.err, *words)
        self.assertEqual(said.out, "")
        return said.err

    def with_rule(self, rule):
        return self.router({**RECORDER, "rules/b.lua": rule}, broker=None)

    def test_unknown_setting_suggests_the_nearest(self):
        self.refuse(self.router(broker=None, publish_windw=5), "unknown setting", "publish_windw",
                    "did you mean 'publish_window'")

    def test_setting_out_of_range(self):
        self.refuse(self.router(broker=None, publish_window=0), "publish_window", "1 to 65536")
        self.refuse(self.router(broker=None, name="r2", heartbeat="1s"), "heartbeat", "2s")

    def test_settings_that_are_no_data(self):
        router = self.router({**RECORDER, "herald.lua": "return { store = os.getenv 'X' }"},
                             broker=None)
        self.refuse(router, r"herald\.lua:1", "data only")
        router.write("herald.lua", "return {\n  store = \n}")
        self.refuse(router, r"herald\.lua:3")
        router.write("herald.lua", "return 5")
        self.refuse(router, r"herald\.lua", "table", "number")

    def test_malformed_url(self):
        secret = rabbit.WRONG
        for broker in (f"amqp://user:{secret}@host:port/", "amqp:/nothing", f"http://x:{secret}@y/",
                       f"amqp://u:{secret}@127.0.0.1:99999/", f"amqp://u:{secret}@/x/y", "embeded"):
            router = self.router(name=f"r{len(self.routers)}", broker=broker)
            self.refuse(router, "amqp://|embedded")
            said = router.run("check", code=1)
            self.assert_words(said.out, "setting 'broker' must be \"embedded\" or a URL")
            self.assertNotIn(secret, said.out + said.err)

    def test_missing_folder(self):
        router = self.router(broker=None)
        said = router.run("run", folder=os.path.join(self.folder, "nowhere"), code=2)
        self.assert_words(said.err, "no folder", "nowhere", "-C")

    def test_folder_without_settings(self):
        router = self.router(broker=None)
        os.mkdir(os.path.join(self.folder, "empty"))
        said = router.run("run", folder=os.path.join(self.folder, "empty"), code=2)
        self.assert_words(said.err, "herald.lua", "-C")

    def test_missing_rules_folder(self):
        self.refuse(self.router({}, broker=None), "rules")

    def test_missing_included_folder(self):
        both = enrolment.make_combined(self)
        both.write("herald.lua", 'return { include = { "orders", "learnin" } }')
        self.refuse(both, "learnin")

    def test_broken_lua(self):
        self.refuse(self.with_rule("local x = 1\nx x\n"), r"rules/b\.lua:2", "syntax error")

    def test_error_while_loading(self):
        """docs/faults.md#f45: also what never ends."""
        self.refuse(self.with_rule("\nlocal x = nil\nx.y = 1\n"), r"rules/b\.lua:3", "nil")
        self.routers[-1].write("rules/b.lua", "while true do end")
        self.refuse(self.routers[-1], r"rules/b\.lua", "time|second|long")

    def test_unknown_key_in_a_rule(self):
        self.refuse(self.with_rule('local herald = require "herald"\nherald.subscribe {\n'
                                   '  queue = "q", prefech = 3,\n}\n'),
                    r"rules/b\.lua:[234]", "prefech", "did you mean 'prefetch'")

    def test_two_handlers_for_one_pair(self):
        text = self.refuse(self.with_rule(
            'local herald = require "herald"\n\nherald.on("note", "*", function() end)\n'),
            r"rules/b\.lua:3", "note")
        line = RULES.split("\n").index('herald.on("note", "*", record)') + 1
        self.assert_words(text, rf"rules/a\.lua:{line}\b")

    def test_broken_migration(self):
        router = self.router({**RECORDER, "migrations/002_bad.sql":
                              "create table fine (x);\n\ncreate tabel bad (x);\n"}, broker=None)
        self.refuse(router, r"002_bad\.sql", "tabel")
        self.assertEqual(router.value("select count(*) from sqlite_schema where name = 'fine'"), 0)
        router.write("migrations/002_bad.sql", "create table fine (x);")
        router.start()
        self.assertEqual(router.value("select count(*) from fine"), 0)

    def test_changed_migration(self):
        router = self.router(broker=None)
        router.run("run", "--until-idle")
        name = "migrations/001_effect.sql"
        router.write(name, RECORDER[name] + "-- more\n")
        self.refuse(router, r"001_effect\.sql", "changed")

    def test_store_of_a_newer_version(self):
        """docs/faults.md#f47"""
        router = self.router(broker=None)
        router.run("run", "--until-idle")
        router.sql("update herald_meta set value = 99 where key = 'schema_version';")
        self.refuse(router, "99", "newer", "herald.db")
        for words in (("status",), ("dead", "list"), ("emit", "--type", "note")):
            self.assert_words(router.run(*words, code=2).err, "99", "newer")

    def test_store_that_is_none(self):
        router = self.router(broker=None)
        router.write("herald.db", "this is no database, and long enough to have a header " * 20)
        self.refuse(router, r"herald\.db", "not a database|damaged|no store", code="any")

    def test_second_router_of_a_store(self):
        """docs/faults.md#f22"""
        router = self.router(broker=None).start()
        self.refuse(router, f"another router .*{router.process.pid}", r"herald\.db", code=1)
        other = self.router(name="other", broker=None, store="../router/herald.db")
        self.refuse(other, f"another router .*{router.process.pid}", code=1)
        ids = router.emit("note", "x")
        self.wait_equal("the first router to go on", router.effects, ["x"])
        self.assertEqual(ids, [1])
        self.assertTrue(router.status()["running"])
