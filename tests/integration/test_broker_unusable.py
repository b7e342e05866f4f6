"""A broker that is away, refuses, or has something else than was asked for."""

import rabbit
from harness import Case, World


class Away(Case):
    def wait_waiting(self, router, *words):
        """It does not reach its broker, says why, and rests in between."""
        def said():
            status = router.status()
            return status["broker"].get("error") and status
        status = self.wait_for("an error of the broker", said)
        self.assert_words(status["broker"]["error"], *words)
        self.assertFalse(status["broker"]["ready"])
        self.assertNotEqual(status["broker"]["state"], "up")
        self.wait_resting(router)

    def start_away(self, url, *words):
        router = self.router(broker=url).start(ready=False)
        router.emit("note", "early", count=3)
        router.sql("insert into herald_outbox (type, business_key1, due_at) "
                   "values ('note', 'early', 1);")  # overdue, which must not make it spin
        self.wait_waiting(router, *words)
        self.assertEqual(router.status()["outbox"]["pending"], 4)
        return router

    def test_no_broker_at_start(self):
        """docs/faults.md#f5: it starts, keeps what is written, and drains once the broker is
        there."""
        relay, url = self.relay()
        router = self.start_away(url, "refused|connect", str(relay.port))
        self.assert_words(router.run("status", "--check", "--max-late", "1h", code=2).out,
                          "HERALD CRITICAL - (broker|outbox late)", "broker connecting|broker waiting",
                          r"\| late=\d+\.\d+s;;3600.000 pending=4 retries=0 dead=0;0")
        relay.open()
        self.wait_equal("the outbox to drain", router.effects, ["early"] * 4)
        self.wait_drained(router)
        self.assert_words(router.run("status", "--check").out, "HERALD OK - 0 pending, 0 retries")
        self.wait_for("it to say that it is ready", lambda: "ready:" in router.said(0))
        relay.close()
        router.emit("note", "between")
        self.wait_equal("the loss to be seen",
                        lambda: router.live().get("ready"), False)
        relay.open()
        self.wait_equal("the rest", router.effects, ["early"] * 4 + ["between"])

    def test_members_that_come_and_go(self):
        """docs/faults.md#f73: whichever is there is used."""
        relays = [self.relay() for _ in range(3)]
        router = self.router(broker=None)
        urls = ", ".join(f'"{url}"' for _, url in relays)
        router.write("herald.lua", f"return {{ broker = {{ {urls} }} }}\n")
        relays[1][0].open()
        router.start()
        for relay, _ in relays:  # each is once the only one
            relay.open()
            for other, _ in relays:
                if other is not relay:
                    other.close()
            router.emit("note", str(relay.port))
            self.wait_for("it to go over", lambda r=relay: str(r.port) in router.effects())
        self.assertEqual(len(router.effects()), 3)

    def test_wrong_password(self):
        """docs/faults.md#f16: harness looks for the password in everything that is said."""
        user = f"{self.tag}-user"
        url = World.node.url_for(user, rabbit.WRONG)
        router = self.start_away(url, "ACCESS_REFUSED|login|password")
        World.node.add_user(user, rabbit.WRONG)
        self.addCleanup(World.node.ctl, "delete_user", user)
        self.wait_equal("it to log in at last", router.effects, ["early"] * 4)

    def test_unknown_vhost(self):
        url = World.node.url_for(rabbit.USER, rabbit.PASSWORD, vhost="nowhere")
        self.start_away(url, "nowhere")

    def test_something_else_listens(self):
        """A port where nobody speaks AMQP."""
        web = rabbit.Chatter(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.addCleanup(web.close)
        self.start_away(World.node.url_for(rabbit.USER, rabbit.PASSWORD, port=web.port), ".")


class Refused(Case):
    """One declaration or one exchange is refused: the others go on."""

    def wait_refused(self, router, *words):
        def refused():
            broker = router.status()["broker"]
            return broker.get("error") and broker
        broker = self.wait_for("the refusal to be visible", refused)
        self.assert_words(broker["error"], *words)
        self.assertEqual((broker["state"], broker["ready"]), ("up", False))
        self.assert_words("\n".join(router.events("broker.refused")), *words)

    def test_queue_of_another_type(self):
        """docs/faults.md#f17"""
        self.use_names("strict", "other")
        peer = self.peer()
        peer.channel.queue_declare(self.names["strict"], durable=True,
                                   arguments={"x-queue-type": "quorum"})
        peer.channel.queue_declare(self.names["other"], durable=True)
        router = self.recorder("""
            herald.subscribe { queue = "$strict", queue_type = "classic" }
            herald.subscribe { queue = "$other", queue_type = "quorum" }
            """).start(ready=False)
        self.wait_refused(router, self.names["strict"], "type = quorum",
                          r'queue_type = \\?"classic', r"rules/b\.lua:3")
        text = "\n".join(router.events("broker.refused"))
        self.assert_words(text, self.names["other"], "type = classic", r'queue_type = \\?"quorum',
                          r"rules/b\.lua:4", r"leave queue_type out")
        router.emit("note", "x")
        self.wait_equal("the good subscription", router.effects, ["x"])
        self.assertEqual(len(router.events("broker.refused")), 2)  # once each

    def check_good_ones(self, router, bad):
        """Good and bad rows alternate: the good ones arrive once, the bad ones stay."""
        keys = [f"k{i}" for i in range(60)]
        router.sql("begin immediate;" + "".join(
            "insert into herald_outbox (type, business_key1) values "
            f"('note', '{key}'), ('bad', '{key}');" for key in keys) + "commit;")
        self.wait_equal("the good rows", lambda: sorted(router.effects()), sorted(keys))
        self.wait_equal("only the bad ones to be left", lambda: router.value(
            "select count(*) from herald_outbox where type <> 'bad'"), 0)
        self.assertEqual(router.value("select count(*) from herald_outbox"), len(keys))
        self.wait_equal("all bad rows to have a reason", lambda: router.value(
            "select count(*) from herald_outbox where reason is null"), 0)
        self.assert_words(router.value("select reason from herald_outbox limit 1"), *bad)
        self.assertEqual(router.counter("handled"), len(keys))

    def test_exchange_that_may_not_be_made(self):
        """docs/faults.md#f15"""
        self.names["bad"] = f"amq.{self.tag}"
        router = self.recorder('herald.route { type = "bad", to = herald.fanout "$bad" }')
        router.start(ready=False)
        self.wait_refused(router, self.names["bad"], "403")
        self.check_good_ones(router, (self.names["bad"], "403"))

    def test_exchange_that_may_not_be_written(self):
        """docs/faults.md#f15, #f16: the channel dies with the rows that are in flight on it."""
        self.use_names("forbidden")
        user = f"{self.tag}-user"
        World.node.add_user(user, rabbit.WRONG, write=f"{self.tag}-(exchange|queue)")
        self.addCleanup(World.node.ctl, "delete_user", user)
        router = self.recorder('herald.route { type = "bad", to = herald.fanout "$forbidden" }',
                               broker=World.node.url_for(user, rabbit.WRONG))
        router.start(ready=False)
        self.check_good_ones(router, ("403|ACCESS_REFUSED",))

    def test_exchange_of_another_kind(self):
        """It is taken as it is: a fanout route onto a topic exchange still arrives."""
        self.use_names("kind")
        peer = self.peer()
        peer.channel.exchange_declare(self.names["kind"], "topic", durable=True)
        router = self.recorder("""
            herald.subscribe { queue = "$kind", from = herald.topic("$kind", "a.*") }
            herald.route { type = "topical", to = herald.topic("$kind", "a.b") }
            herald.on("topical", "*", function(msg, tx)
              tx:exec("insert into effect (key1, key2) values (?, ?)", "topical", msg.routing_key)
            end)
            """).start()
        router.emit("topical")
        self.wait_equal("the message", lambda: router.rows("select key1, key2 from effect"),
                        [("topical", "a.b")])

    def test_full_queue(self):
        """docs/faults.md#f18: what the queue refuses (basic.nack) waits and goes out later."""
        self.use_names("full")
        peer = self.peer()
        peer.channel.exchange_declare(self.names["full"], "fanout", durable=True)
        peer.channel.queue_declare(self.names["full"], durable=True, arguments={
            "x-max-length": 1, "x-overflow": "reject-publish"})
        peer.channel.queue_bind(self.names["full"], self.names["full"])
        router = self.recorder('herald.route { type = "bulk", to = herald.fanout "$full" }').start()
        router.emit("bulk", "b", count=3)
        self.wait_for("a refusal", lambda: router.counter("nacked") >= 2)
        router.emit("note", "free")
        self.wait_equal("another exchange", router.effects, ["free"])
        ids = {peer.get(self.names["full"])[0].message_id for _ in range(3)}
        self.assertEqual(len(ids), 3)
        self.wait_drained(router)
