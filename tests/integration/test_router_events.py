"""What happens to the router itself, as messages: sent where a rule routes them, else handled here."""

import json

from harness import Case

HANDLED = """
local herald = require "herald"
local function note(msg, tx)
  tx:exec("insert into happening (type, about, body) values (?, ?, ?)", msg.type, msg.business_key1,
    msg.raw)
end
for _, type in ipairs { "herald.broker_lost", "herald.broker_back", "herald.dead_letters",
                        "herald.reload_refused", "herald.paused", "herald.disk_low" } do
  herald.on(type, "*", note)
end
"""
WORK = """
herald.subscribe { queue = "$queue", from = herald.fanout "$exchange", retry = { attempts = 1 }$more }
herald.route { type = "note", to = herald.fanout "$exchange" }
herald.on("note", "*", function(msg) error("no") end)
"""
TABLE = "create table happening (id integer primary key, type text, about text, body text);"


class Events(Case):
    def begin(self, rules, more="", **settings):
        self.names["more"] = more
        broker = settings.pop("broker", "embedded")
        return self.router({"rules/a.lua": rules, "migrations/1.sql": TABLE}, broker=broker, **settings)

    def told(self, router):
        return [(type_, about) for type_, about in router.rows(
            "select type, about from happening order by id")]

    def body(self, router, type_):
        return json.loads(router.value(f"select body from happening where type = '{type_}'"))

    def test_a_broker_that_is_lost_and_back(self):
        relay, url = self.relay()
        relay.open()
        router = self.begin(HANDLED + WORK, broker=url).start()
        relay.close()
        self.wait_equal("the loss", lambda: self.told(router), [("herald.broker_lost", None)])
        lost = self.body(router, "herald.broker_lost")
        self.assertEqual(set(lost), {"at", "router", "since", "reason"})
        self.assertNotEqual(lost["reason"], "")
        router.stop()  # and again while it is away: it was told
        router.start(ready=False)
        relay.open()
        self.wait_equal("its return", lambda: self.told(router),
                        [("herald.broker_lost", None), ("herald.broker_back", None)])
        self.assertGreater(self.body(router, "herald.broker_back")["away_ms"], 0)
        self.assertEqual(self.body(router, "herald.broker_back")["lost_at"], lost["since"])

    def test_a_loss_is_sent_once_the_broker_is_back(self):
        self.use_names("alarms")
        client = self.peer()
        client.channel.queue_declare(self.names["alarms"], durable=True)
        relay, url = self.relay()
        relay.open()
        router = self.begin('local herald = require "herald"\nherald.route { '
                            'type = "herald.broker_lost", to = herald.queue "$alarms" }\n', broker=url)
        router.start()
        relay.close()
        self.wait_equal("the row", lambda: [row["type"] for row in router.json("outbox", "list")],
                        ["herald.broker_lost"])
        relay.open()
        properties, body = client.get(self.names["alarms"])
        self.assertEqual(properties.type, "herald.broker_lost")
        self.assertEqual(json.loads(body)["router"], "herald")
        self.wait_drained(router)

    def test_dead_letters_above_a_number_are_told_once(self):
        router = self.begin(HANDLED + WORK, ", pause_after = false", dead_letters_above=2).start()
        router.emit("note", count=2)
        self.wait_dead(router, 2)
        router.emit("note", count=3)
        self.wait_equal("the event", lambda: self.told(router), [("herald.dead_letters", None)])
        self.assertGreater(self.body(router, "herald.dead_letters")["dead_letters"], 2)
        self.assertEqual(self.body(router, "herald.dead_letters")["above"], 2)
        self.wait_dead(router, 5)
        router.stop()
        router.start()
        router.emit("note", count=2)
        self.wait_dead(router, 7)
        router.run("dead", "drop", "--all")
        self.wait_equal("the mark", lambda: router.value(
            "select value from herald_meta where key = 'event_dead_letters'"), 0)
        self.assertEqual(self.told(router), [("herald.dead_letters", None)])
        router.emit("note", count=3)
        self.wait_equal("another event", lambda: self.told(router),
                        [("herald.dead_letters", None)] * 2)

    def test_files_that_are_refused_and_a_queue_that_pauses(self):
        router = self.begin(HANDLED + WORK, ", pause_after = 3").start()
        router.write("rules/b.lua", "this is no Lua")
        router.run("reload", code=1)
        self.wait_equal("the event", lambda: self.told(router), [("herald.reload_refused", None)])
        self.assert_words(self.body(router, "herald.reload_refused")["reason"], r"rules/b\.lua")
        router.emit("note", count=3)
        self.wait_equal("the pause", lambda: self.told(router),
                        [("herald.reload_refused", None), ("herald.paused", self.names["queue"])])
        paused = self.body(router, "herald.paused")
        self.assertEqual(paused["queue"], self.names["queue"])
        self.assert_words(paused["reason"], "no$")

    def test_a_disk_without_room(self):
        router = self.begin(HANDLED, disk_low="1048576GiB").start()
        self.wait_equal("the event", lambda: self.told(router), [("herald.disk_low", None)])
        self.assertEqual(self.body(router, "herald.disk_low")["below"], 1 << 50)

    def test_a_handler_of_an_event_that_fails_raises_none(self):
        rules = ('local herald = require "herald"\nherald.on("herald.disk_low", "*", '
                 'function() error("in vain") end)\nherald.on("herald.dead_letters", "*", '
                 'function() error("in vain, too") end)\n')
        router = self.begin(rules, disk_low="1048576GiB", dead_letters_above=0,
                            retry={"attempts": 1}).start()
        letters = self.wait_dead(router, 2)
        self.assertEqual(sorted(letter["type"] for letter in letters),
                         ["herald.dead_letters", "herald.disk_low"])
        self.assertEqual({letter["queue"] for letter in letters}, {"herald.events"})
        router.stop()
        router.start()
        self.assertEqual(router.value("select value from herald_meta where key = "
                                      "'event_dead_letters'"), 1)
        self.assertEqual(len(self.wait_dead(router, 2)), 2)

    def test_nothing_is_written_that_no_rule_names(self):
        router = self.begin('local herald = require "herald"\n' + WORK, ", pause_after = false",
                            disk_low="1048576GiB", dead_letters_above=0).start()
        router.emit("note")
        self.wait_dead(router, 1)
        self.assertEqual(router.value("select count(*) from herald_meta where key glob 'event_*'"), 0)
        self.assertEqual(router.json("outbox", "list"), [])
