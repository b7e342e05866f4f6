"""A backup that is made while a router works, and a router that starts from it."""

import json
import os
import shutil
import subprocess

from harness import RECORDER, Case


class Backup(Case):
    def test_a_full_disk_is_named_and_nothing_is_left_on_it(self):
        router = self.router(RECORDER, broker="embedded").start()
        router.sql("create table big (bytes); insert into big values (zeroblob(2000000))")
        disk = os.path.join(self.folder, "small")
        os.mkdir(disk)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=False)
        copy = os.path.join(disk, "copy.db")
        self.assert_words(router.run("backup", copy, code=1).err, f"{copy}: cannot write the copy of .*herald.db: ",
                          "free some space")
        self.assertEqual(os.listdir(disk), [])
        self.assert_words(router.run("restore", copy, "--store", "other.db", code=1).err, f"no backup at {copy}")

    def send_notes(self, peer):
        for number in range(300):
            key = f"m{number}"
            peer.send(self.names["exchange"],
                      json.dumps({"messageType": "note", "businessKey1": key}), message_id=key)

    def test_a_backup_under_load_and_back(self):
        """docs/operations.md#backup-and-restore: the copy is whole; with it the router begins a new
        epoch, what was pending goes out, and nothing has an effect twice."""
        router = self.router(RECORDER, store="data/herald.db")
        os.mkdir(os.path.join(router.folder, "data"))
        router.start()
        peer = self.peer()
        self.send_notes(peer)
        self.wait_for("some work", lambda: len(router.effects()) > 20)
        file = os.path.join(self.folder, "copy.db")
        self.assert_words(router.run("backup", file).out, "is copied to .*copy.db: .*checked")
        self.wait_equal("all of it", lambda: len(router.effects()), 300)
        ids = router.rows("select store_id from herald_epoch")
        router.stop()
        shutil.move(os.path.join(router.folder, "data"), os.path.join(router.folder, "before"))
        os.mkdir(os.path.join(router.folder, "data"))
        self.assert_words(router.run("restore", file).out, "is put back as data/herald.db", "new epoch")
        some = router.effects()
        self.assertGreater(len(some), 20)
        self.assertEqual(len(set(some)), len(some))
        router.start()
        self.assertTrue(router.events("store.epoch"))
        self.assertNotEqual(router.rows("select store_id from herald_epoch"), ids)
        self.send_notes(peer)  # whoever sends again what may be lost
        self.wait_equal("what was lost with the backup", lambda: len(set(router.effects())), 300)
        self.wait_settled(router)
        self.assertEqual(len(router.effects()), 300)
