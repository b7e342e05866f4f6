"""A store of 0.1.0 with work in every state: today's router takes it over, finishes its work,
and knows each of its messages when it comes again."""

import collections

import kept_store
from harness import Case, World, takes_long

# Nothing identifies these: they are handled as often as they come.
UNIDENTIFIED = ("without-body-id",)
# 0.1.0 could not read these.
UNREADABLE = ("java-octet", "java-text")


class KeptStore(Case):
    def begin(self):
        self.client = self.peer()
        kept_store.make_broker(self, self.client)
        return kept_store.make(self).start()

    def effects(self, router):
        return collections.Counter(router.column("select name from effect"))

    def wanted(self, but=()):
        return collections.Counter(m["name"] for m in kept_store.messages(self)
                                   if m["name"] not in but)

    def used_twice(self, router):
        return router.value("select count(*) from herald_dead where error like '%used twice%'")

    def send_again(self, message):
        self.client.send("", message["body"], routing_key=message["queue"],
                         **message["properties"])

    def wait_all_settled(self, router):
        for queue in kept_store.QUEUES:
            self.wait_settled(router, kept_store.name(self, queue))

    def test_work_is_finished_and_ids_are_known(self):
        router = self.begin()
        kept_store.finish_work(self, router)
        self.assertEqual(self.effects(router), self.wanted(but=UNREADABLE))
        self.assertEqual(self.used_twice(router), 1)
        again = [m for m in kept_store.messages(self) if m["name"] not in UNIDENTIFIED]
        for message in again:
            self.send_again(message)
        self.wait_all_settled(router)
        self.assertEqual(self.effects(router), self.wanted())
        self.assertEqual(self.used_twice(router), 1)
        self.assertEqual(router.counter("duplicates"), len(again) - len(UNREADABLE))

    def test_what_relays_add_changes_nothing(self):
        """A quorum queue, a dead-letter exchange and a shovel add headers and sort them."""
        router = self.begin()
        kept_store.finish_work(self, router)
        again = [m for m in kept_store.messages(self)
                 if m["name"] not in UNIDENTIFIED + UNREADABLE]
        for added in ({"x-delivery-count": 1}, {"CC": ["nobody"]},
                      {"x-shovelled": [{"src-queue": "a"}], "x-shovelled-timestamp": 1},
                      {"x-death": [{"queue": "a", "reason": "rejected", "count": 1}],
                       "x-first-death-queue": "a", "x-first-death-reason": "rejected"}):
            for message in again:
                headers = {**added, **(message["properties"].get("headers") or {})}
                properties = {**message["properties"], "headers": dict(sorted(headers.items()))}
                self.send_again({**message, "properties": properties})
        self.wait_all_settled(router)
        self.assertEqual(self.effects(router), self.wanted(but=UNREADABLE))
        self.assertEqual(self.used_twice(router), 1)

    @takes_long
    def test_real_relays_change_nothing(self):
        """What comes again out of a quorum queue that took it back once, by way of its
        dead-letter exchange, and over a shovel."""
        router = self.begin()
        kept_store.finish_work(self, router)
        again = [m for m in kept_store.messages(self)
                 if m["name"] not in UNIDENTIFIED + UNREADABLE]
        ways = {}
        for queue in {message["queue"] for message in again}:
            mine = [message for message in again if message["queue"] == queue]
            self.dead_letter(queue, mine)
            self.fill(queue + "-source", mine)
            ways[queue + "-source"] = queue
        World.node.shovel(ways)
        self.wait_all_settled(router)
        self.assertEqual(self.effects(router), self.wanted(but=UNREADABLE))
        self.assertEqual(self.used_twice(router), 1)
        self.assertEqual(router.counter("duplicates"), 2 * len(again))

    def dead_letter(self, queue, messages):
        """Each is taken back by a quorum queue, comes again and is rejected. (What counts that is
        x-delivery-count up to 4.2, and x-acquired-count from 4.3 on.)"""
        before, channel = queue + "-before", self.client.channel
        self.named.append(before)
        channel.queue_declare(before, durable=True, arguments={
            "x-queue-type": "quorum", "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": queue})
        for message in messages:
            self.send_again({**message, "queue": before})
        again = []
        for method, _, _ in channel.consume(before):
            again.append(method.redelivered)
            channel.basic_nack(method.delivery_tag, requeue=not method.redelivered)
            if again.count(True) == len(messages):
                break
        channel.cancel()
        self.assertEqual(len(again), 2 * len(messages))

    def fill(self, queue, messages):
        self.named.append(queue)
        self.client.channel.queue_declare(queue, durable=True)
        for message in messages:
            self.send_again({**message, "queue": queue})

    def test_replayed_letters_are_known(self):
        """What 0.1.0 could not read has no identity there, and gets one when it is replayed."""
        router = self.begin()
        kept_store.finish_work(self, router)
        router.run("dead", "replay", "--side", "inbox", "--error", "no message type")
        self.wait_equal("both to be handled", lambda: self.effects(router), self.wanted())
        for message in kept_store.messages(self):
            if message["name"] in UNREADABLE:
                self.send_again(message)
        self.wait_all_settled(router)
        self.assertEqual(self.effects(router), self.wanted())

    def test_what_was_sent_has_the_ids_it_had(self):
        """Rows of both epochs, legs and refused ones: each destination gets each id once."""
        router = self.begin()
        kept_store.finish_work(self, router)
        for queue, count in (("heard", 3), ("arrived", 7)):
            ids = [self.client.get(kept_store.name(self, queue))[0].message_id
                   for _ in range(count)]
            self.assertEqual(len(set(ids)), count, ids)
        before_epochs = {row[0] for row in router.rows("select store_id from herald_epoch")}
        self.assertGreaterEqual(len(before_epochs), 3)  # its two, and one of this copy
