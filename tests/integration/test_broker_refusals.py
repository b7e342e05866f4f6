"""What the broker refuses: the row that is to blame, and how long a refusal is borne."""

import rabbit
from harness import Case, World, disturbs

SHORT = "publish_retry = { attempts = 3, delay = '200ms', jitter = 0 }"


class Refusals(Case):
    def user(self, **permissions):
        """A broker's URL for a user of this test's own."""
        user = f"{self.tag}-user"
        World.node.add_user(user, rabbit.WRONG, **permissions)
        self.addCleanup(World.node.ctl, "delete_user", user)
        return user, World.node.url_for(user, rabbit.WRONG)

    def fill(self, router, rows):
        """Rows of (type, key, body) in one transaction."""
        router.sql("begin immediate;" + "".join(
            "insert into herald_outbox (type, business_key1, body) values "
            f"('{kind}', '{key}', {body});" for kind, key, body in rows) + "commit;")

    @disturbs
    def test_message_that_is_too_large_in_the_middle_of_a_window(self):
        """docs/faults.md#f15: the channel closes with the whole window on it, and one row is
        parked."""
        before = World.node.limit_messages(4096)
        self.addCleanup(World.node.limit_messages, before)
        router = self.router().start()
        large = "json_object('messageType', 'note', 'x', hex(zeroblob(4096)))"
        self.fill(router, [("note", n, large if n in (120, 121, 250) else "null")
                           for n in range(300)])
        letters = self.wait_dead(router, 3)
        self.assertEqual(sorted(letter["business_key1"] for letter in letters),
                         ["120", "121", "250"])
        for letter in letters:
            self.assert_words(letter["error"], "406|311", "size|large")
            self.assertEqual(letter["attempts"], 1)
        self.wait_drained(router)
        wanted = [str(n) for n in range(300) if n not in (120, 121, 250)]
        self.wait_equal("every other one, once", lambda: sorted(router.effects(), key=int), wanted)
        self.assertEqual(router.counter("nacked"), 3)

    def test_exchange_that_nobody_makes(self):
        """docs/faults.md#f15: its rows are parked at the limit; made a minute later, they are
        replayed."""
        self.use_names("lost", "spy")
        _, url = self.user(configure=f"{self.tag}-(exchange|queue)")
        router = self.recorder('herald.route { type = "lost", to = herald.fanout "$lost" }',
                               broker=url)
        router.write("herald.lua", "return { " + SHORT + " }\n")
        router.start(ready=False)
        self.fill(router, [(("note", "lost")[n % 2], n, "null") for n in range(16)])
        self.wait_equal("the good ones", lambda: sorted(router.effects(), key=int),
                        [str(n) for n in range(0, 16, 2)])
        for letter in self.wait_dead(router, 8):
            self.assertEqual((letter["type"], letter["attempts"]), ("lost", 3))
            self.assert_words(letter["error"], "(403|ACCESS_REFUSED|404|NOT_FOUND).*refused 3 times since 20",
                              "publish_retry")
        self.wait_drained(router)
        peer = self.peer()
        peer.listen(self.names["spy"], self.names["lost"])
        self.wait_equal("it to be found", lambda: router.status()["broker"]["error"], "")
        router.run("dead", "replay", "--all")
        keys = {peer.get(self.names["spy"])[0].headers["business-key-1"] for _ in range(8)}
        self.assertEqual(keys, {str(n) for n in range(1, 16, 2)})
        self.wait_drained(router)

    def test_topic_that_may_not_be_written(self):
        """docs/faults.md#f60: a permission of one routing key is one row's trouble, not its
        exchange's."""
        self.use_names("topic", "spy")
        user, url = self.user()
        peer = self.peer()
        peer.listen(self.names["spy"], self.names["topic"], "topic", "#")
        # RabbitMQ 4.3 wants the exchange to be there.
        World.node.ctl("set_topic_permissions", user, self.names["topic"], "^yes", ".*")
        router = self.recorder("""
            herald.route { type = "yes", to = herald.topic("$topic", "yes") }
            herald.route { type = "no", to = herald.topic("$topic", "no") }
            """, broker=url).start()
        self.fill(router, [("no" if n == 50 else "yes", n, "null") for n in range(100)])
        letter = self.wait_dead(router, 1)[0]
        self.assertEqual((letter["business_key1"], letter["attempts"]), ("50", 1))
        self.assert_words(letter["error"], "403", "access to topic 'no'")
        self.wait_drained(router)
        keys = {}  # those that were in flight when the channel closed may come a second time
        while len(keys) < 99:
            properties = peer.get(self.names["spy"])[0]
            keys[properties.headers["business-key-1"]] = properties.message_id
        self.assertEqual(sorted(keys, key=int), [str(n) for n in range(100) if n != 50])
        self.assertEqual(len(set(keys.values())), 99)

    def test_permission_that_is_taken_and_given_back(self):
        """docs/faults.md#f16: rows wait with the reason, slowly; the others go on; nothing is
        lost."""
        self.use_names("other", "spy")
        peer = self.peer()
        peer.listen(self.names["spy"], self.names["other"])
        peer.close()
        user, url = self.user()
        router = self.recorder('herald.route { type = "other", to = herald.fanout "$other" }',
                               broker=url).start()
        self.fill(router, [("other", 0, "null")])
        self.wait_drained(router)
        World.node.ctl("set_permissions", user, ".*", f"{self.tag}-(exchange|queue)", ".*")
        World.node.ctl("eval", f"""rabbit_networking:close_all_user_connections(
            <<"{user}">>, <<"what it may is remembered by channel">>).""")
        self.fill(router, [(("note", "other")[n % 2], n, "null") for n in range(100)])
        self.wait_equal("the good ones", lambda: len(router.effects()), 50)
        self.wait_equal("the others to say why", lambda: router.value(
            "select count(*) from herald_outbox where reason like '%403 ACCESS_REFUSED%'"), 50)
        self.wait_resting(router)
        self.assertEqual(router.dead(), [])
        World.node.ctl("set_permissions", user, ".*", ".*", ".*")
        router.run("outbox", "retry", "--all")
        self.wait_drained(router)
        self.wait_equal("all of them", lambda: World.node.depth(self.names["spy"]), 51)

    def test_broker_that_is_away_counts_nothing(self):
        """docs/faults.md#f4, #f10: cut time and again with rows in flight, more often than the
        limit."""
        relay, url = self.relay()
        router = self.router(broker=url)
        router.write("herald.lua", "return { " + SHORT + ", confirm_timeout = '1s' }\n")
        relay.open()
        router.start()
        for turn in range(4):
            self.wait_for("it to be up", lambda: router.live().get("ready"))
            self.open_way(router)
            relay.mute()
            seen = router.counter("timed_out") + router.counter("interrupted")
            self.fill(router, [("note", f"{turn}-{n}", "null") for n in range(10)])
            self.wait_for("confirms to be missed", lambda: router.counter("timed_out")
                          + router.counter("interrupted") > seen)  # a silent one is only probed
            relay.close()
            self.wait_for("it to notice", lambda: router.live().get("ready") is False)
            self.assertEqual(router.column("select max(attempts) from herald_outbox"), [0])
            relay.open()
        self.wait_drained(router)
        self.wait_equal("all of them, once", lambda: sorted(router.effects()),
                        sorted([f"{turn}-{n}" for turn in range(4) for n in range(10)] + ["first"] * 4))
        self.assertEqual(router.dead(), [])
