"""A member of a cluster stands still: what needs it answers nothing (docs/faults.md#f53)."""

import os
import signal

import rabbit
from harness import Case, takes_long


class Member(Case):
    def node(self, name, peer=None):
        scratch = os.path.join(self.folder, name)
        os.mkdir(scratch)
        node = rabbit.Node(None, scratch, peer)
        node.start()
        self.addCleanup(node.script, "kill")
        return node

    def queue(self, node, word, exchange=None):
        """A quorum queue with one member, on this node."""
        peer = rabbit.Peer(node.url)
        self.peers.append(peer)
        peer.channel.queue_declare(self.names[word], durable=True, arguments={
            "x-queue-type": "quorum", "x-quorum-initial-group-size": 1})
        if exchange:
            peer.channel.exchange_declare(exchange, "fanout", durable=True)
            peer.channel.queue_bind(self.names[word], exchange)
        return peer

    def said(self, router):
        return router.status()["broker"]

    @takes_long
    def test_a_queue_on_a_member_that_stands_still(self):
        """docs/faults.md#f53: it is a state with a reason, and another queue is consumed
        meanwhile."""
        self.use_names("sick")
        first = self.node("first")
        second = self.node("second", first)
        self.queue(first, "queue", self.names["exchange"])
        self.queue(second, "sick")
        router = self.recorder('herald.subscribe { queue = "$sick" }\n', broker=first.url)
        member = int(second.environment()["RABBIT_PID"])
        os.kill(member, signal.SIGSTOP)
        try:
            router.start(ready=False)
            router.emit("note", "meanwhile")
            self.wait_equal("the healthy queue to be consumed", router.effects, ["meanwhile"])
            self.wait_for("a reason", lambda: [
                t for t in self.said(router)["troubles"] if t["name"] == self.names["sick"]
                and "on a connection of its own" in t["why"]],
                lambda: self.said(router)["error"])
            self.assertFalse(self.said(router)["ready"])
            self.assertIn("not answered", self.said(router)["error"])
            found = router.run("check", "--live", code=1)
            self.assert_words(found.out + found.err,
                              f'error: queue "{self.names["sick"]}" is there, but the broker does '
                              "not answer a consume")
            router.emit("note", "more")
            self.wait_equal("more of it", router.effects, ["meanwhile", "more"])
        finally:
            os.kill(member, signal.SIGCONT)
