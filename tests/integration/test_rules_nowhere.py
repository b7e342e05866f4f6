"""Routes that lead to no queue are told of at the start and at a reload, without a message."""

from harness import RECORD, Case, World

HEAD = """local herald = require "herald"
herald.subscribe { queue = "$queue", from = herald.fanout "$exchange" }
herald.on("note", "*", function() end)
herald.route { type = "note", to = herald.fanout "$exchange" }
herald.route { type = "own", to = herald.queue "$queue" }
"""
ROUTES = """herald.route { type = "lonely", to = herald.fanout "$lonely" }
herald.route { type = "lost", to = { herald.fanout "$exchange", herald.queue "$gone" } }
herald.route { type = "dropped", to = herald.queue "$gone", unroutable = "drop" }
"""


class Nowhere:
    def begin(self, rules):
        self.use_names("lonely", "gone", "third")
        router = self.router({"migrations/001_effect.sql": RECORD, "rules/a.lua": HEAD + rules},
                             broker=self.broker)
        return router

    def told(self, router):
        return len(router.events("route.nowhere"))

    def test_at_the_start(self):
        router = self.begin(ROUTES).start()
        self.wait_equal("two warnings", lambda: self.told(router), 2)
        lines = "\n".join(router.events("route.nowhere"))
        self.assert_words(lines, f"warn.*type=lonely.*{self.names['lonely']}.*rules/a.lua:6",
                          f"type=lost.*{self.names['gone']}.*does not exist.*rules/a.lua:7.*subscribe")
        said = router.json("reload")
        self.assertEqual((said["outcome"], [n["type"] for n in said["nowhere"]]),
                         ("unchanged", ["lonely", "lost"]))
        self.assertEqual(router.value("select count(*) from herald_outbox"), 0)
        self.assertEqual(self.told(router), 2)

    def test_at_a_reload(self):
        router = self.begin("").start()
        self.assertEqual(router.json("reload")["nowhere"], [])
        text = router.change("rules/b.lua", 'local herald = require "herald"\n' + ROUTES).out
        self.assert_words(text, "warning +route +lonely \\* leads to fanout exchange",
                          "warning +route +lost \\* leads to queue .*rules/b.lua:3")
        self.assertNotIn("dropped *", text)
        self.assertEqual(self.told(router), 2)
        router.write("rules/b.lua", 'local herald = require "herald"\n'
                     'herald.route { type = "lost", to = herald.queue "$gone" }\n'
                     'herald.subscribe { queue = "$gone" }\n')
        said = router.json("reload")
        self.assertEqual(said["nowhere"], [])
        self.assertEqual(self.told(router), 2)

    def test_the_first_are_named_and_the_others_counted(self):
        routes = "".join(f'herald.route {{ type = "lost{n}", to = herald.queue "$gone" }}\n'
                         for n in range(203))
        router = self.begin(routes).start()
        self.wait_equal("warnings", lambda: self.told(router), 200)
        more = self.wait_for("the count", lambda: router.events("route.nowhere_more"))
        self.assertEqual(len(more), 1)
        self.assert_words(more[0], "warn.*routes=3")
        said = router.json("reload")
        self.assertEqual((len(said["nowhere"]), said["nowhere_more"]), (200, 3))
        self.assert_words(router.run("reload").out, "warning +and 3 more routes lead to no queue")


class OnRabbit(Nowhere, Case):
    broker = "rabbit"

    def test_what_others_listen_to_is_not_told_of(self):
        """An exchange that was there, and a queue of another service."""
        router = self.begin(ROUTES)
        peer = self.peer()
        peer.channel.exchange_declare(self.names["lonely"], "fanout", durable=True)
        peer.channel.queue_declare(self.names["gone"], durable=True)
        router.start()
        self.assertEqual(router.json("reload")["nowhere"], [])
        self.assertEqual(self.told(router), 0)

    def test_check_live_says_it_before(self):
        router = self.begin(ROUTES)
        said = router.run("check", "--live", code=1).out
        self.assert_words(said, f"a.lua:6:1: warning: exchange .*{self.names['lonely']}.*a route leads "
                          "there where no queue is bound", f"a.lua:[78]:1: error: .*{self.names['gone']}")
        self.assertFalse(World.node.has_exchange(self.names["lonely"]))


class Embedded(Nowhere, Case):
    broker = "embedded"
