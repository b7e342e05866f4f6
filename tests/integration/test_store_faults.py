"""What happens to a store while its router runs: the disk is full, a file may not grow, no
descriptor is left, somebody else writes or reads for long. The router stops what it must, says
so, loses nothing, and goes on by itself."""

import os
import resource
import shutil
import sqlite3
import subprocess
import threading
import time

from harness import Case, World

PAD = "x" * 2000


class Room(Case):
    """A store that cannot grow."""

    def mount(self, router, size):
        disk = os.path.join(router.folder, "disk")
        os.makedirs(disk)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.skipTest(f"no small disk to fill: {done.stderr.strip()} (needs root)")
        # Before the folder is removed, and after the router has ended.
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=False)
        self.addCleanup(router.finish)
        return disk

    def fill(self, disk):
        path = os.path.join(disk, "ballast")
        with open(path, "wb", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    pass
        return path

    def flood(self, peer, count):
        for number in range(count):
            peer.send(self.names["exchange"],
                      '{"messageType":"note","businessKey1":"k%d","x":"%s"}' % (number, PAD),
                      message_id=f"m{number}")

    def wait_paused(self, router, *words):
        status = self.wait_for("it to pause", lambda: router.status()["paused_for"]
                               and router.status())
        self.assertEqual(status["state"], "paused")
        self.assert_words(status["paused_for"], *words)
        self.assert_words("\n".join(router.events("engine.paused")), *words)
        self.wait_resting(router)
        return status

    def check_resumed(self, router, count):
        self.wait_equal("it to go on by itself", lambda: router.status()["paused_for"], "")
        self.wait_equal("all effects", lambda: len(router.effects()), count)
        self.wait_settled(router)
        self.assertEqual(len(set(router.effects())), count)
        self.assertEqual(router.rows("pragma integrity_check"), [("ok",)])
        self.assertEqual(router.status()["retries"], 0)  # no attempt was counted
        self.assertEqual(router.dead(), [])
        self.assertTrue(router.events("engine.resumed"))

    def full(self):
        """A router that got some of 1000 messages done before its disk was full."""
        router = self.router(store="disk/herald.db")
        disk = self.mount(router, "4m")
        router.start()
        ballast = self.fill(disk)
        self.flood(self.peer(), 1000)
        self.wait_paused(router, "full")

        def make_room():
            os.remove(ballast)
            subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)

        return router, make_room, len(router.effects())

    def test_disk_is_full_for_deliveries(self):
        """docs/faults.md#f24: nothing more is acked, nothing counts as an attempt, nothing comes
        twice."""
        router, make_room, handled = self.full()
        self.assertLess(handled, 1000)
        time.sleep(0.5)
        self.assertEqual(len(router.effects()), handled)
        # Unacked, or given back by now: the rest is the broker's.
        self.wait_equal("the rest to be kept", lambda: (
            World.node.depth(self.names["queue"]) + router.status()["broker"]["unacked"]),
            1000 - handled)
        make_room()
        self.check_resumed(router, 1000)
        self.assertEqual(router.counter("duplicates"), 0)

    def test_disk_is_full_for_long(self):
        """docs/design.md#trouble-of-the-store: nothing is unacked, and nothing goes to and fro
        until there is room."""
        router, make_room, handled = self.full()
        self.wait_equal("all to be with the broker again",
                        lambda: World.node.depth(self.names["queue"]), 1000 - handled)
        time.sleep(30 if World.long else 6)
        self.assertEqual(World.node.depth(self.names["queue"]), 1000 - handled)
        self.assertEqual(len(router.events("engine.consuming_stopped")), 1)
        self.assert_words(router.status()["stopped_for"], "full")
        make_room()
        self.check_resumed(router, 1000)
        self.assertEqual(router.counter("duplicates"), 0)
        self.assertEqual(router.value("select length(value) from herald_meta where key = 'room'"), 0)

    def test_disk_is_full_for_confirms(self):
        """docs/faults.md#f24: rows whose confirm cannot be written down are not sent again. They
        are as many as an exchange is sent before it has confirmed any."""
        self.use_names("spy")
        self.peer().listen(self.names["spy"], self.names["exchange"])
        wire, url = self.proxy()
        router = self.router({"rules/a.lua": """
            local herald = require "herald"
            herald.route { type = "note", to = herald.fanout "$exchange" }
            """}, broker=url, store="disk/herald.db")
        disk = self.mount(router, "2m")
        router.start()
        wire.answers.clear()
        router.sql("insert into herald_outbox (type, body) with recursive c(n) as "
                   "(select 1 union all select n + 1 from c where n < 16) "
                   "select 'note', printf('{\"n\":%d,\"x\":\"%0500d\"}', n, n) from c;")
        ballast = self.fill(disk)
        self.wait_equal("the rows on the broker", lambda: World.node.depth(self.names["spy"]), 16)
        wire.answers.set()
        self.wait_paused(router, "full")
        self.assertEqual(router.status()["outbox"]["pending"], 16)
        os.remove(ballast)
        self.wait_drained(router)
        self.assertEqual(World.node.depth(self.names["spy"]), 16)
        self.assertEqual(router.counter("interrupted"), 0)
        self.assertEqual(router.rows("pragma integrity_check"), [("ok",)])

    def test_file_may_not_grow(self):
        """docs/faults.md#f25: no signal kills it at RLIMIT_FSIZE; it waits as on a full disk."""
        router = self.router().start(limits={resource.RLIMIT_FSIZE: 600000})
        self.flood(self.peer(), 1000)
        self.wait_paused(router, "ulimit -f")
        time.sleep(1.5)  # checkpoints make some room once more, until the database is at its limit
        self.wait_paused(router, "ulimit -f")
        self.assertLess(len(router.effects()), 1000)
        # The rest is unacked, or the broker has it back: it stops consuming after some seconds.
        self.wait_for("the rest", lambda: router.live().get("unacked")
                      or World.node.depth(self.names["queue"]))
        resource.prlimit(router.process.pid, resource.RLIMIT_FSIZE,
                         (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.check_resumed(router, 1000)
        self.assertEqual(router.counter("duplicates"), 0)
        self.assertFalse(router.events("engine.fatal"))

    def test_no_descriptor_is_left(self):
        """docs/faults.md#f28: it cannot reconnect, says why, does not spin, and recovers."""
        wire, url = self.proxy()
        router = self.router(broker=url).start()
        pid = router.process.pid
        fds = len(os.listdir(f"/proc/{pid}/fd"))
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        # Closed ones free their numbers: only those below the limit can be taken again.
        lowest = min(int(fd) for fd in os.listdir(f"/proc/{pid}/fd")
                     if os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            wire.cut()
            self.wait_for("the trouble to be told", lambda: [
                line for line in router.events("link.failed") if "too many open files" in line])
            self.wait_resting(router)
            router.sql("insert into herald_outbox (type, business_key1) values ('note', 'x');")
            time.sleep(0.5)
            self.assertEqual(router.effects(), [])
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        self.wait_equal("it to recover", router.effects, ["x"])
        self.wait_drained(router)
        self.assertLessEqual(len(os.listdir(f"/proc/{pid}/fd")), fds + 2)


class Others(Case):
    """Other programs on the same store."""

    def lock_and_send(self, router, peer):
        """Takes the write lock of its store, and sends 100 messages to it."""
        other = sqlite3.connect(router.store, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("pragma wal_autocheckpoint=0")
        other.execute("begin immediate")
        for number in range(100):
            peer.send(self.names["exchange"], '{"messageType":"note","businessKey1":"%d"}'
                      % number, message_id=f"m{number}")
        return other

    def test_foreign_writer_holds_the_lock(self):
        """docs/faults.md#f29: nothing is lost, nothing counts as an attempt, and it does not
        spin."""
        router = self.router().start()
        peer = self.peer()
        other = self.lock_and_send(router, peer)
        other.execute("insert into herald_outbox (type, business_key1) values ('note', 'own')")
        self.wait_resting(router)
        self.assertTrue(router.status()["running"])
        self.assertEqual(router.effects(), [])
        other.execute("commit")
        self.wait_equal("all effects", lambda: sorted(router.effects()),
                        sorted([str(n) for n in range(100)] + ["own"]))
        self.wait_drained(router)
        self.wait_settled(router)
        self.assertEqual(router.status()["retries"], 0)
        self.assertFalse(router.events("engine.paused"))

    def test_a_lock_that_is_held_for_long(self):
        """docs/design.md#trouble-of-the-store: when nothing can be processed the consuming channel
        is closed once, and no deliveries are unacked."""
        router = self.router().start()
        peer = self.peer()
        other = self.lock_and_send(router, peer)
        self.wait_equal("them to be unacked", lambda: router.live().get("unacked"), 100)
        self.wait_equal("them to be with the broker again",
                        lambda: (World.node.depth(self.names["queue"]),
                                 router.status()["broker"]["unacked"]), (100, 0))
        self.assert_words(router.status()["stopped_for"], "locked|busy")
        self.assert_words(router.run("status").out, "nothing is consumed, the broker keeps it")
        self.wait_resting(router)
        self.assertEqual(World.node.depth(self.names["queue"]), 100)
        other.execute("commit")
        self.wait_equal("all effects", lambda: len(router.effects()), 100)
        self.wait_settled(router)
        self.assertEqual(router.status()["stopped_for"], "")
        self.assertEqual(len(router.events("engine.consuming_stopped")), 1)
        self.assertEqual(len(router.events("engine.consuming_again")), 1)
        self.assertEqual(router.status()["retries"], 0)

    def hammer(self, path, ending, waits, problems):
        store = sqlite3.connect(path, timeout=5, isolation_level=None)
        store.execute("pragma synchronous=full")
        store.execute("pragma wal_autocheckpoint=0")
        try:
            while not ending.is_set():
                began = time.monotonic()
                store.execute("insert into herald_outbox (type, business_key1) "
                              "values ('note', 'h')")
                waits.append(time.monotonic() - began)
        except sqlite3.Error as problem:
            problems.append(problem)
        finally:
            store.close()

    def test_producers_hammer(self):
        """docs/faults.md#f29: neither side starves the other; how long an insert takes is
        printed."""
        router = self.router().start()
        waits, problems, ending = [], [], threading.Event()
        threads = [threading.Thread(target=self.hammer,
                                    args=(router.store, ending, waits, problems))
                   for _ in range(2)]
        for thread in threads:
            thread.start()
        wanted = 5000 if World.long else 500
        try:
            self.wait_for("both to get on", lambda: problems or min(
                len(waits), 10 * len(router.effects())) >= wanted, lambda: len(waits))
        finally:
            ending.set()
            for thread in threads:
                thread.join()
        self.assertEqual(problems, [])
        waits.sort()
        print(f"       insert beside a busy router: {len(waits)} in all, median "
              f"{waits[len(waits) // 2] * 1000:.1f} ms, p99 {waits[len(waits) * 99 // 100] * 1000:.1f}"
              f" ms, worst {waits[-1] * 1000:.1f} ms", flush=True)
        self.wait_equal("all effects", lambda: len(router.effects()), len(waits))
        self.wait_drained(router)
        self.assertEqual(router.rows("pragma integrity_check"), [("ok",)])

    def test_long_foreign_reader(self):
        """docs/faults.md#f30: the WAL grows and this is visible; work goes on; it shrinks
        afterwards."""
        router = self.router().start()
        reader = sqlite3.connect(router.store, isolation_level=None)
        self.addCleanup(reader.close)
        reader.execute("begin")
        reader.execute("select count(*) from effect").fetchone()
        total = 0

        def wal():
            return router.status()["store"]["wal_bytes"]

        while wal() < 9 << 20:
            self.assertLess(total, 20000)
            router.sql("insert into herald_outbox (type, business_key1, body) "
                       "with recursive c(n) as (select 1 union all select n + 1 from c "
                       "where n < 500) select 'note', 'r', "
                       f"""printf('{{"messageType":"note","n":%d,"x":"{PAD}"}}', n) from c;""")
            total += 500
            self.wait_equal("work to go on", lambda: len(router.effects()), total)
        self.wait_drained(router)
        if World.long:  # it takes some seconds until it is more than a hindrance
            self.wait_for("an alarm", lambda: "does not let go" in "".join(
                router.events("store.checkpoint_failed")))
        reader.execute("commit")
        self.wait_for("the WAL to shrink", lambda: wal() < 1 << 20)
        self.assertEqual(router.rows("pragma integrity_check"), [("ok",)])


class Files(Case):
    """What becomes of the store's files themselves."""

    def ends(self, router, *words):
        self.assertEqual(router.wait_exit(10), 1)
        fatal, = router.events("engine.fatal")
        self.assert_words(fatal, *words)

    def test_store_is_deleted(self):
        """docs/faults.md#f32: it does not go on in a file that nobody will find."""
        router = self.router(broker="embedded").start()
        router.emit("note", "a")
        self.wait_equal("the effect", router.effects, ["a"])
        os.remove(router.store)
        self.ends(router, r"herald\.db was deleted", "restore a backup")

    def test_store_is_moved_and_put_back(self):
        """docs/faults.md#f32: put back with its WAL, it is whole."""
        router = self.router(broker="embedded").start()
        router.emit("note", "a")
        self.wait_equal("the effect", router.effects, ["a"])
        os.rename(router.store, router.store + ".away")
        self.ends(router, r"herald\.db was deleted or moved", "put it back")
        os.rename(router.store + ".away", router.store)
        router.start()
        self.assertEqual(router.effects(), ["a"])
        router.emit("note", "b")
        self.wait_equal("the next", router.effects, ["a", "b"])
        self.assertEqual(router.rows("pragma integrity_check"), [("ok",)])

    def test_store_is_replaced(self):
        """docs/faults.md#f32: by a copy of itself, say."""
        router = self.router(broker="embedded").start()
        shutil.copy(router.store, router.store + ".copy")
        os.rename(router.store + ".copy", router.store)
        self.ends(router, r"herald\.db was replaced")

    def test_store_is_made_read_only(self):
        """docs/faults.md#f32"""
        router = self.router(broker="embedded").start()
        os.chmod(router.store, 0o444)
        self.ends(router, "made read-only", "make it writable")
        os.chmod(router.store, 0o644)
        router.start()
        router.emit("note", "a")
        self.wait_equal("the effect", router.effects, ["a"])

    def spoil(self, router, table):
        """One page: the root of a table."""
        page = router.value("select rootpage from sqlite_schema where name = ?", table)
        with open(router.store, "r+b") as store:
            store.seek((page - 1) * 4096)
            store.write(b"\xaa" * 4096)

    def test_page_is_corrupt_at_start(self):
        """docs/faults.md#f33: refused, with what, where and what to do."""
        router = self.router(broker="embedded").start()
        router.stop()
        self.spoil(router, "herald_outbox")
        router.launch()
        self.assertEqual(router.wait_exit(10), 1)
        for words in (router.said(1), router.run("status", code=1).err,
                      router.run("outbox", "list", code=1).err):
            self.assert_words(words, r"herald\.db", "damaged", "backup", "recover")

    def test_page_is_corrupt_for_a_handler(self):
        """docs/faults.md#f33: nothing is acked, nothing counts as an attempt, and it says why."""
        router = self.router(broker="embedded").start()
        router.stop()
        self.spoil(router, "effect")
        router.start()
        router.emit("note", "a")
        status = self.wait_for("it to pause", lambda: router.status()["paused_for"]
                               and router.status())
        self.assertEqual(status["state"], "paused")
        self.assert_words(status["paused_for"], r"herald\.db", "damaged", "backup", "recover")
        self.assertEqual((status["retries"], status["dead"]), (0, 0))
        self.assertEqual(len(router.events("engine.paused")), 1)
