"""A message that ends the router is handled alone, and then not any more; its neighbours of the
same turn take effect once. A handler whose timeout does not fit the heartbeat is refused.
"""

import signal

from harness import Case
from test_router_kill_points import has_points

# One call of C that goes on for ever: nothing but the watchdog can end it.
POISON = """
herald.on("bad", "*", function(msg, tx)
  tx:exec("insert into effect (key1) values ('poison')")
  local _ = ("a"):rep(1000):find(("a-"):rep(30) .. "b")
end)
"""
# Its neighbours write once each, so that the hundredth statement of a process is its own.
SEGV = """
herald.on("bad", "*", function(msg, tx)
  for n = 1, 200 do tx:exec("insert into effect (key1) values ('poison')") end
end)
"""
ROUTE = 'herald.route { type = "bad", to = herald.fanout "$exchange" }\n'
QUICK = {"handler_timeout": "200ms", "heartbeat": "2s", "watchdog": "1500ms"}
STRIKES = 3


class Poison(Case):
    def seed(self, router):
        router.start()
        router.stop()
        router.sql("begin immediate;" + "".join(
            f"insert into herald_outbox (type, business_key1) values ('{type_}', '{key}');"
            for type_, key in [("note", f"k{n}") for n in range(10)] + [("bad", "x")]
            + [("note", f"k{n}") for n in range(10, 20)]) + "commit;")

    def check_poison(self, router, number, words):
        """`number` ends the process in the handler of "bad", which leaves these words."""
        self.seed(router)
        for death in range(1, STRIKES + 1):
            router.launch()
            self.assertEqual(router.wait_exit(30), -number, f"death {death}")
            self.assertIn(words, router.said(1))
            if death > 1:  # what came before it was committed before it was run alone
                self.assertEqual(router.effects(), [f"k{n}" for n in range(10)])
        router.start()
        letter, = self.wait_dead(router, 1)
        self.assert_words(letter["error"], "crashed the router 3 times in a row in its handler")
        self.assertEqual(letter["type"], "bad")
        self.wait_equal("the neighbours", router.effects, [f"k{n}" for n in range(20)])
        self.assertEqual(router.value("select count(*) from herald_retry"), 0)
        self.assertEqual(router.rows("pragma integrity_check"), [("ok",)])
        self.assertEqual(len(router.events("message.condemned")), 1)
        router.stop()
        router.start()  # the suspect is forgotten
        self.assertEqual(len(router.events("message.condemned")), 1)

    def check_endless(self, broker):
        self.check_poison(self.recorder(ROUTE + POISON, broker=broker, **QUICK), signal.SIGABRT,
                          "a handler has been running for")

    def check_segv(self, broker):
        if not has_points():
            self.skipTest("this build has no failpoints (cmake -DHERALD_FAILPOINTS=ON)")
        router = self.recorder(ROUTE + SEGV, broker=broker)
        router.fail = "handler_wrote:100:segv"
        router.sanitizer = "handle_segv=0"  # the kernel ends it, as outside of tests
        self.check_poison(router, signal.SIGSEGV, "")

    def test_on_the_embedded_broker(self):
        """docs/faults.md#f36, #f39; invariant I3."""
        self.check_endless("embedded")

    def test_on_rabbitmq(self):
        """docs/faults.md#f36, #f39; invariant I3."""
        self.check_endless("rabbit")

    def test_segfault_on_the_embedded_broker(self):
        """docs/faults.md#f39: a real one, inside a handler; invariant I3."""
        self.check_segv("embedded")

    def test_segfault_on_rabbitmq(self):
        """docs/faults.md#f39: the same; the broker delivers again each time."""
        self.check_segv("rabbit")

    def test_a_timeout_beyond_the_heartbeat(self):
        router = self.recorder('herald.on("slow", "*", function() end, { timeout = "1001ms" })\n',
                               broker="embedded", **QUICK)
        answer = router.run("run", "--until-idle", code="any")
        self.assert_words(answer.out + answer.err, r"rules/b\.lua:2", "1001 ms", "half",
                          r"heartbeat \(2000 ms\)")
