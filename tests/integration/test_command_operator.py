"""What an operator does when messages lie about: finds, understands, mends, sends again."""

import json
import subprocess
import threading

from harness import RECORDER, Case, World

# The mistake of a deployment: choices are looked up by the wrong key.
BAD = """
local herald = require "herald"
herald.subscribe { queue = "$paid", retry = { attempts = 1 }, pause_after = false }
herald.on("payresult_notify", "*", function(msg, tx)
  if #msg.business_key1 > 0 then
    error(("no choice '%s' of order type %s"):format(msg.business_key3 or "?" .. msg.id, msg.order_type))
  end
end)
"""
MENDED = """
local herald = require "herald"
herald.subscribe { queue = "$paid", retry = { attempts = 1 }, pause_after = false }
herald.on("payresult_notify", "*", function(msg, tx)
  tx:exec("insert into effect (message_id, key1, attempt, raw) values (?, ?, ?, ?)", msg.id,
    msg.business_key1, msg.attempt, msg.raw)
end)
"""
REJECTING = """
herald.on("rejected", "*", function(msg, tx)
  if msg.business_key1 == "bad" then herald.reject("no choice 'bad'") end
  tx:exec("insert into effect (key1, attempt) values (?, ?)", msg.business_key1, msg.attempt)
end)
herald.route { type = "rejected", to = herald.fanout "$exchange" }
"""


def paid(number):
    return json.dumps({"businessKey1": str(number), "businessKey2": "60201",
                       "messageType": "payresult_notify"})


class Operator(Case):
    def effects(self, router):
        return sorted(router.column("select message_id from effect"))

    def incident(self, count):
        """A router whose rule sends `count` messages to the dead letters."""
        self.use_names("paid")
        router = self.router({**RECORDER, "rules/pay.lua": BAD}).start()
        peer = self.peer()
        for number in range(count):
            peer.send("", paid(number), routing_key=self.names["paid"], message_id=f"pay-{number:04}")
        self.wait_equal("the dead letters", lambda: router.status()["dead"], count)
        return router, peer

    def mend(self, router):
        router.write("rules/pay.lua", MENDED)
        router.run("reload")

    # --- dead letters ---

    def test_an_incident_played_through(self):
        """500 dead letters: grouped, the rule mended and reloaded, replayed while the router
        runs and others come in; each takes effect once, and again there is nothing to do."""
        router, peer = self.incident(500)
        peer.send("", "{", routing_key=self.names["paid"], message_id="another trouble")
        self.wait_equal("one more", lambda: router.status()["dead"], 501)

        groups = router.json("dead", "groups")
        self.assertEqual([group["count"] for group in groups], [500, 1])
        group = groups[0]
        self.assert_words(group["error"], r"rules/pay\.lua:6: no choice")
        self.assertEqual(group["queue"], self.names["paid"])
        self.assert_words(router.run("dead", "groups").out, f"{group['group']} +500 ")
        self.assertEqual(len(router.json("dead", "list", "--group", group["group"], "--limit",
                                         "1000")), 500)
        only = ("--group", group["group"])
        self.assertEqual(router.json("dead", "replay", *only, "--dry-run"),
                         {"replayed": 500, "skipped": 0, "dry_run": True})
        self.assertEqual(router.status()["dead"], 501)

        self.mend(router)
        first = router.json("dead", "replay", *only, "--limit", "3")
        self.assertEqual(first["replayed"], 3)
        self.wait_equal("three to try", lambda: self.effects(router),
                        [f"pay-{number:04}" for number in range(3)])
        for number in range(500, 600):
            peer.send("", paid(number), routing_key=self.names["paid"], message_id=f"pay-{number:04}")
        self.assertEqual(router.run("dead", "replay", *only).out, "replayed 497 dead letters\n")
        self.wait_equal("all of them", lambda: self.effects(router),
                        [f"pay-{number:04}" for number in range(600)])
        self.assertEqual(router.run("dead", "replay", *only).out, "nothing matches\n")
        self.assertEqual(router.json("dead", "groups")[0]["count"], 1)
        self.assertEqual(router.column("select distinct attempt from effect"), [1])

        # What the broker or a producer sends again is known.
        for number in (0, 499):
            peer.send("", paid(number), routing_key=self.names["paid"], message_id=f"pay-{number:04}")
        self.wait_equal("two duplicates", lambda: router.counter("duplicates"), 2)
        self.assertEqual(len(self.effects(router)), 600)
        self.assertEqual(router.status()["retries"], 0)

    def test_replay_by_two_at_once(self):
        """Replay of letters that are being replayed."""
        router, _ = self.incident(1200)
        self.mend(router)
        counts = []

        def replay():
            counts.append(router.json("dead", "replay", "--all")["replayed"])

        threads = [threading.Thread(target=replay) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sum(counts), 1200)
        self.wait_equal("all of them once", lambda: self.effects(router),
                        [f"pay-{number:04}" for number in range(1200)])
        self.assertEqual(router.status()["dead"], 0)

    def test_replay_while_the_router_is_down(self):
        router, _ = self.incident(20)
        router.stop()
        router.write("rules/pay.lua", MENDED)
        self.assertEqual(router.json("dead", "replay", "--all")["replayed"], 20)
        self.assertEqual(router.status()["retries"], 20)
        self.assertEqual(router.json("dead", "replay", "--all")["replayed"], 0)
        router.start()
        self.wait_equal("all of them", lambda: self.effects(router),
                        [f"pay-{number:04}" for number in range(20)])

    def test_replay_that_is_killed(self):
        """Each batch is a transaction: what was replayed is, the rest is a letter still."""
        router, _ = self.incident(1100)
        self.mend(router)
        process = subprocess.Popen([World.herald, "-C", router.folder, "dead", "replay", "--all"],
                                   stdout=subprocess.DEVNULL, env=router.environment())
        self.wait_for("some of it", lambda: router.value("select count(*) from herald_dead") < 1100)
        process.kill()
        process.wait()
        router.run("dead", "replay", "--all")
        self.wait_equal("all of them once", lambda: self.effects(router),
                        [f"pay-{number:04}" for number in range(1100)])

    def test_replayed_letters_that_fail_again_are_letters_again(self):
        router, _ = self.incident(5)
        self.assertEqual(router.json("dead", "replay", "--all")["replayed"], 5)
        self.wait_equal("them to be back", lambda: [
            (letter["message_id"], letter["attempts"]) for letter in router.dead()],
            [(f"pay-{number:04}", 1) for number in range(5)])
        self.assertEqual(router.status()["retries"], 0)

    def test_drop_leaves_the_id_known(self):
        router, peer = self.incident(3)
        self.assertEqual(router.run("dead", "drop", code=2).out, "")
        self.assertEqual(router.json("dead", "drop", "1", "3", "9"),
                         {"dropped": 2, "skipped": 1, "dry_run": False})
        self.assertEqual([letter["message_id"] for letter in router.dead()], ["pay-0001"])
        self.mend(router)
        peer.send("", paid(0), routing_key=self.names["paid"], message_id="pay-0000")
        self.wait_for("the redelivery", lambda: router.counter("delivered") == 4)
        self.wait_settled(router, "paid")
        self.assertEqual((router.effects(), router.status()["dead"]), ([], 1))

    def test_edit_then_replay(self):
        router = self.recorder(REJECTING).start()
        peer = self.peer()
        body = '{"businessKey1":"bad","messageType":"rejected"}'
        peer.send(self.names["exchange"], body, message_id="m")
        self.wait_dead(router, 1)
        for words, wanted in ((("--body", "{"), "--body"), (("--key1", "good"), "the body says"),
                              (("--type", ""), "--type"), (("--header", "a\"b=c"), "--header")):
            said = router.run("dead", "edit", "1", *words, code=1)
            self.assert_words(said.err, "dead letter 1 was not changed", wanted)
        self.assertEqual(router.dead()[0]["body"], body)
        mended = '{"businessKey1":"good","messageType":"rejected"}'
        router.run("dead", "edit", "1", "--body", mended, "--dry-run")
        self.assertEqual(router.dead()[0]["body"], body)
        answer = router.run("dead", "edit", "1", "--body", "-", stdin=mended.encode())
        self.assert_words(answer.out, "herald dead replay 1")
        letter = router.dead()[0]
        self.assertEqual((letter["body"], letter["business_key1"], letter["message_id"]),
                         (mended, "good", "m"))
        router.run("dead", "replay", "1")
        self.wait_equal("its effect", router.effects, ["good"])
        # The message as it was is the same message still.
        peer.send(self.names["exchange"], body, message_id="m")
        self.wait_equal("a duplicate", lambda: router.counter("duplicates"), 1)
        self.assertEqual((router.effects(), router.status()["dead"]), (["good"], 0))

    def test_replay_of_an_unrouted_row(self):
        router = self.recorder().start()
        router.emit("lost", "16", "60201")
        letter = self.wait_dead(router, 1)[0]
        self.assertEqual((letter["side"], letter["queue"]), ("outbox", None))
        router.stop()
        router.write("rules/c.lua", """
            local herald = require "herald"
            herald.route { type = "lost", to = herald.fanout "$exchange" }
            herald.on("lost", "*", function(msg, tx)
              tx:exec("insert into effect (message_id, key1) values (?, ?)", msg.id, msg.business_key1)
            end)
            """)
        router.start()
        self.assertEqual(router.json("dead", "replay", "--side", "outbox")["replayed"], 1)
        self.wait_equal("its effect", lambda: router.rows("select message_id, key1 from effect"),
                        [(letter["message_id"], "16")])
        self.wait_drained(router)

    # --- retries ---

    def test_retries_now_and_drop(self):
        router = self.recorder("""
            herald.route { type = "later", to = herald.fanout "$exchange" }
            herald.on("later", "*", function(msg, tx)
              if msg.attempt == 1 then herald.retry("1h", "not before the " .. msg.business_key1) end
              tx:exec("insert into effect (key1, attempt) values (?, ?)", msg.business_key1, msg.attempt)
            end)
            """, broker="embedded").start()
        for key in ("a", "b", "c"):
            router.emit("later", key, "60201")
        self.wait_equal("three retries", lambda: router.status()["retries"], 3)
        rows = router.json("retries", "list")
        self.assertEqual([(r["type"], r["order_type"], r["queue"], r["attempts"], r["orphaned"])
                          for r in rows], [("later", "60201", self.names["queue"], 1, False)] * 3)
        self.assert_words(rows[0]["error"], "not before the a")
        self.assertRegex(rows[0]["due_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assert_words(router.run("retries", "list").out, "TRIES +STATE", "waiting.*the b")
        self.assertEqual(router.json("retries", "list", "--after", str(rows[0]["id"]), "--limit",
                                     "1"), rows[1:2])
        self.assertEqual(router.json("retries", "now", "--error", "the b"),
                         {"made_due": 1, "skipped": 0, "dry_run": False})
        self.wait_equal("its second try", lambda: router.rows("select key1, attempt from effect"),
                        [("b", 2)])
        self.assertEqual(router.json("retries", "drop", str(rows[0]["id"]))["dropped"], 1)
        router.run("retries", "now", "--all")
        self.wait_equal("the last one", router.effects, ["b", "c"])
        self.assertEqual(router.run("retries", "list").out, "no retries\n")

    def test_retries_are_known_by_what_their_bodies_say(self):
        router = self.recorder("""
            herald.on("later", "*", function(msg, tx)
              if msg.attempt == 1 then herald.retry("1h", "not before the " .. msg.business_key1) end
              tx:exec("insert into effect (key1, attempt) values (?, ?)", msg.business_key1, msg.attempt)
            end)
            """, broker="embedded").start()
        router.sql("insert into herald_queue_item(queue, body, timestamp_s) values " + ", ".join(
            f"""('{self.names["queue"]}', '{{"messageType":"later","id":{i},"businessKey1":"{key}","""
            f""""businessKey2":"{order}"}}', 0)"""
            for i, (key, order) in enumerate((("a", 1), ("b", 1), ("c", 2)))) + ";")
        self.wait_equal("three retries", lambda: router.status()["retries"], 3)
        rows = router.json("retries", "list")
        self.assertEqual([(r["type"], r["business_key1"], r["order_type"]) for r in rows],
                         [("later", "a", "1"), ("later", "b", "1"), ("later", "c", "2")])
        self.assert_words(router.run("retries", "list").out, "later +b +1")
        one = router.json("retries", "show", str(rows[0]["id"]))
        self.assertEqual((one["type"], one["business_key1"]), ("later", "a"))
        self.assertEqual(router.rows("select distinct type, business_key1 from herald_retry"),
                         [(None, None)])
        self.assertEqual(router.json("retries", "list", "--order-type", "2"), rows[2:])
        self.assertEqual(router.json("retries", "drop", "--order-type", "2")["dropped"], 1)
        self.assertEqual(router.json("retries", "now", "--type", "later")["made_due"], 2)
        self.wait_equal("their effects", router.effects, ["a", "b"])

    # --- outbox ---

    def test_outbox_rows_are_seen_and_sent_again(self):
        self.use_names("absent")
        router = self.router({**RECORDER, "rules/c.lua": """
            local herald = require "herald"
            herald.route { type = "unheard", to = herald.direct("$absent", "k") }
            """}).start()
        first, second = router.emit("unheard", "16", count=2)
        self.wait_equal("both to come back", lambda: router.value(
            "select count(*) from herald_outbox where attempts >= 3 and due_at > 0"), 2)
        router.sql("update herald_outbox set due_at = due_at + 3600000;")
        rows = router.json("outbox", "list")
        self.assertEqual([(r["id"], r["state"], r["type"], r["business_key1"]) for r in rows],
                         [(first, "postponed", "unheard", "16"), (second, "postponed", "unheard", "16")])
        self.assertTrue(all(r["attempts"] >= 3 and r["due_at"] and r["reason"] for r in rows))
        self.assert_words(router.run("outbox", "list").out, "postponed")
        self.assertEqual(router.json("outbox", "drop", str(first))["dropped"], 1)
        peer = self.peer()
        peer.channel.queue_declare(self.names["absent"])
        self.named.append(self.names["absent"])
        peer.channel.queue_bind(self.names["absent"], self.names["absent"], "k")
        self.assertEqual(router.json("outbox", "retry", "--type", "unheard"),
                         {"retried": 1, "skipped": 0, "dry_run": False})
        self.wait_drained(router)  # and an hour is not waited for
        self.assertEqual(router.run("outbox", "list").out, "the outbox is empty\n")
        self.assertEqual(World.node.depth(self.names["absent"]), 1)

    # --- bad input ---

    def test_commands_refuse(self):
        router = self.recorder(broker="embedded")
        for words, code, wanted in (
                (("dead", "list"), 1, "no store at .*herald.db"),
                (("dead", "replay", "--all"), 1, "no store"),
                (("retries", "drop", "--all"), 1, "no store"),
                (("dead", "replay"), 2, "--all"),
                (("dead", "drop", "--limit", "1"), 2, "--all"),
                (("outbox", "drop"), 2, "--all"),
                (("dead", "edit", "1"), 2, "edit what"),
                (("dead", "edit", "1", "--type", "x"), 1, "no store"),
                (("dead", "list", "--older-than", "x"), 2, "duration"),
                (("retries", "list", "--limit", "0"), 2, "--limit"),
                (("outbox", "bury"), 2, "bury")):
            self.assert_words(router.run(*words, code=code).err, wanted)
        router.emit("note")
        for words in (("dead", "list", "--type", "x"), ("dead", "replay", "--type", "x"),
                      ("dead", "drop", "7"), ("retries", "now", "--all"),
                      ("outbox", "retry", "--all")):
            self.assert_words(router.run(*words).out, "nothing matches")
        self.assertEqual(router.run("dead", "list", "--type", "x", "--json").out, "[]\n")
        self.assert_words(router.run("dead", "edit", "7", "--type", "x", code=1).err,
                          "no dead letter 7")

    def test_a_store_of_an_older_herald(self):
        router = self.recorder(broker="embedded")
        router.emit("note")
        router.sql("update herald_meta set value = 1 where key = 'schema_version';")
        for words in (("dead", "list"), ("dead", "replay", "--all"), ("retries", "list"),
                      ("outbox", "drop", "--all")):
            said = router.run(*words, code=2).err
            self.assert_words(said, "schema version 1", "upgrades it when it starts")
