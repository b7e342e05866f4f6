"""A message that ends the router is handled alone, and then not any more; its neighbours of the
same turn take effect once. A handler whose timeout does not fit the heartbeat is refused.
"""

import signal

from harness import Case

# One call of C that goes on for ever: nothing but the watchdog can end it.
POISON = """
herald.on("bad", "*", function(msg, tx)
  tx:exec("insert into effect (key1) values ('poison')")
  local _ = ("a"):rep(1000):find(("a-"):rep(30) .. "b")
end)
"""
ROUTE = 'herald.route { type = "bad", to = herald.fanout "$exchange" }\n'
QUICK = {"handler_timeout": "200ms", "heartbeat": "2s", "watchdog": "1500ms"}
STRIKES = 3


class Poison(Case):
    def check_poison(self, broker):
        router = self.recorder(ROUTE + POISON, broker=broker, **QUICK)
        router.start()
        router.stop()
        router.sql("begin immediate;" + "".join(
            f"insert into herald_outbox (type, business_key1) values ('{type_}', '{key}');"
            for type_, key in [("note", f"k{n}") for n in range(10)] + [("bad", "x")]
            + [("note", f"k{n}") for n in range(10, 20)]) + "commit;")
        for death in range(1, STRIKES + 1):
            router.start(ready=False)
            self.assertEqual(router.wait_exit(30), -signal.SIGABRT, f"death {death}")
            self.assertIn("a handler has been running for", router.said(1))
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

    def test_on_the_embedded_broker(self):
        """FAULTS 36, 39; invariant I3."""
        self.check_poison("embedded")

    def test_on_rabbitmq(self):
        """FAULTS 36, 39; invariant I3."""
        self.check_poison("rabbit")

    def test_a_timeout_beyond_the_heartbeat(self):
        router = self.recorder('herald.on("slow", "*", function() end, { timeout = "1001ms" })\n',
                               broker="embedded", **QUICK)
        answer = router.run("run", "--until-idle", code="any")
        self.assert_words(answer.out + answer.err, r"rules/b\.lua:2", "1001 ms", "half",
                          r"heartbeat \(2000 ms\)")
