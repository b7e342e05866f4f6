"""What an operator has paused is left alone, and goes on when it is resumed."""

import json

from harness import RECORDER, Case

# Two queues; what has the key "again" fails at its first try.
TWO = """
local herald = require "herald"
herald.route { type = "other", to = herald.queue "$other" }
herald.route { type = "mail", to = herald.queue "$mail" }
herald.subscribe { queue = "$other" }
herald.on("other", "*", function(msg, tx)
  if msg.business_key1 == "again" and msg.attempt == 1 then return herald.retry("1ms") end
  tx:exec("insert into effect (queue, type, key1) values (?, ?, ?)", msg.queue, msg.type, msg.business_key1)
end, { queue = "$other" })
"""


class Pause(Case):
    def setUp(self):
        super().setUp()
        self.use_names("other", "mail")

    def send(self, peer, queue, type_, *keys):
        for key in keys:
            peer.send("", json.dumps({"messageType": type_, "businessKey1": key}),
                      routing_key=self.names[queue], message_id=f"{queue}-{key}")

    def paused(self, router):
        return [p["what"] for p in router.json("status")["paused_by_hand"]]

    def test_a_queue_is_paused_over_a_crash_and_others_go_on(self):
        """docs/operations.md#pause-and-resume"""
        router = self.router({**RECORDER, "rules/b.lua": TWO}).start()
        peer = self.peer()
        other = self.names["other"]
        self.assert_words(router.run("pause", other).out, f"{other} is paused; the router has it")
        self.wait_for("the log", lambda: router.events("operator.paused"))
        self.send(peer, "other", "other", "1", "2")
        self.send(peer, "queue", "note", "a")
        self.wait_equal("the other queue's", router.effects, ["a"])
        router.kill()
        router.start()
        self.send(peer, "queue", "note", "b")
        self.wait_equal("the other queue's", router.effects, ["a", "b"])
        self.assertEqual(self.paused(router), [other])
        self.assert_words(router.run("status", "--check", code=1).out, f"{other} is paused by hand")
        self.assert_words(router.run("resume", other).out, f"{other} goes on; the router has it")
        self.wait_equal("all", lambda: sorted(router.effects()), ["1", "2", "a", "b"])
        self.assertEqual(self.paused(router), [])

    def test_retries_of_a_paused_queue_wait_and_count_no_attempt(self):
        router = self.router({**RECORDER, "rules/b.lua": TWO})
        router.start()
        router.stop()
        other = self.names["other"]
        self.assert_words(router.run("pause", other).out, "no router runs")
        router.sql("insert into herald_retry(due_at, queue, fingerprint, attempts, first_at, error, timestamp_s,"
                   f" type, business_key1) values (1, '{other}', 0, 1, 1, 'e', 0, 'other', 'late')")
        router.run("run", "--until-idle")
        self.assertEqual(router.rows("select attempts, due_at from herald_retry"), [(1, 1)])
        self.assertEqual(router.effects(), [])
        router.run("resume", other)
        router.start()
        self.wait_equal("the retry", router.effects, ["late"])

    def test_a_pause_outlasts_a_reload_and_a_resume_is_heard_under_load(self):
        router = self.router({**RECORDER, "rules/b.lua": TWO}).start()
        peer = self.peer()
        other = self.names["other"]
        router.run("pause", other)
        router.write("rules/b.lua", TWO + "-- other\n")
        router.run("reload")
        self.send(peer, "other", "other", "again", "1")
        self.send(peer, "queue", "note", "a")
        self.wait_equal("the other queue's", router.effects, ["a"])
        router.run("resume", other)
        self.wait_equal("all", lambda: sorted(router.effects()), ["1", "a", "again"])

    def test_publishing_is_paused_and_handling_goes_on(self):
        router = self.router({**RECORDER, "rules/b.lua": TWO}).start()
        peer = self.peer()
        peer.channel.queue_declare(self.names["mail"], durable=True)
        router.run("pause", "publish")
        router.emit("mail", count=5)
        self.send(peer, "queue", "note", "a")
        self.wait_equal("handled", router.effects, ["a"])
        self.assertEqual(router.value("select count(*) from herald_outbox"), 5)
        router.stop()
        router.run("run", "--until-idle")
        self.assertEqual(router.value("select count(*) from herald_outbox"), 5)
        router.start()
        self.assertEqual(self.paused(router), ["publish"])
        router.run("resume", "publish")
        self.wait_equal("sent", lambda: router.value("select count(*) from herald_outbox"), 0)

    def test_what_is_not_there_is_told(self):
        router = self.router({**RECORDER, "rules/b.lua": TWO}).start()
        other = self.names["other"]
        self.assert_words(router.run("pause", other + "x", code=2).err, "no rule subscribes", f'mean "{other}"')
        self.assert_words(router.run("resume", other, code=1).err, "is not paused by hand; nothing is")
        self.assert_words(router.run("pause").out, "nothing is paused by hand")
        router.run("pause", "publish")
        self.assert_words(router.run("pause", "publish").out, "publish was paused before")
        self.assertEqual(router.json("pause")[0]["what"], "publish")
        self.assert_words(router.run("resume", other, code=1).err, "what is: publish")
        router.write("rules/b.lua", "herald.route {")
        self.assert_words(router.run("pause", other + "x").out, "nobody can tell")

    def test_the_embedded_broker_is_paused_alike(self):
        router = self.router({**RECORDER, "rules/b.lua": TWO}, broker="embedded").start()
        other = self.names["other"]
        router.run("pause", other)
        router.emit("other", key1="1")
        router.emit("note", key1="a")
        self.wait_equal("the other queue's", router.effects, ["a"])
        router.run("resume", other)
        self.wait_equal("all", lambda: sorted(router.effects()), ["1", "a"])
