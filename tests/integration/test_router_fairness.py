"""Whatever has work moves while something else never ends."""

import sqlite3

from harness import Case

# Every message of the flood keeps a core busy for a time, and there are more of them than any
# test waits for.
FLOOD = """
herald.subscribe { queue = "$flood" }
herald.route { type = "flood", to = herald.queue "$flood" }
herald.on("flood", "*", function(msg)
  local till = os.clock() + $seconds
  while os.clock() < till do end
end)
"""
MANY = 1000


class Beside(Case):
    """Beside a flood, on the embedded broker: nothing of it is elsewhere."""

    def flooded(self, seconds):
        self.use_names("flood")
        self.names["seconds"] = str(seconds)
        router = self.recorder(FLOOD, broker="embedded")
        router.start()
        router.emit("flood", count=MANY)
        self.wait_for("the flood", lambda: router.counter("handled") >= 2)
        return router

    def assert_flooded(self, router):
        """What was proved was proved beside it."""
        self.assertLess(router.counter("handled"), MANY)
        router.kill()

    def test_a_first_commit_of_the_command_line(self):
        router = self.flooded(0.1)
        for number in range(3):
            router.emit("note", str(number))
        self.wait_equal("the messages of the command line",
                        lambda: len(router.effects()), 3)
        self.assert_flooded(router)

    def test_a_writer_that_stays_and_commits_now_and_then(self):
        router = self.flooded(0.1)
        writer = sqlite3.connect(router.store, timeout=5, isolation_level=None)
        writer.execute("pragma wal_autocheckpoint = 0")
        for number in range(3):
            writer.execute("begin immediate")
            writer.execute("insert into herald_outbox(type, business_key1) values ('note', ?)",
                           (str(number),))
            writer.execute("commit")
            self.wait_equal("its message", lambda: len(router.effects()), number + 1)
        writer.close()
        self.assert_flooded(router)
