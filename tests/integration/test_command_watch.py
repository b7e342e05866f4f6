"""herald status --watch, on a terminal."""

import os
import pty
import signal
import subprocess

from harness import RECORDER, Case, World


def hear_interrupts():  # a job in the background was begun deaf to them
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Watch(Case):
    def test_it_draws_in_place_until_it_is_interrupted(self):
        """docs/operations.md#status-and-check"""
        router = self.router(RECORDER, broker="embedded").start()
        ours, theirs = pty.openpty()
        process = subprocess.Popen([World.herald, "-C", router.folder, "status", "--watch"],
                                   stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                                   preexec_fn=hear_interrupts)
        os.close(theirs)
        seen = [b""]

        def shown(*words):
            seen[0] += os.read(ours, 65536)
            return all(word in seen[0] for word in words)

        self.wait_for("a picture", lambda: shown(b"router", b"handled", b"/s  ", b"\x1b[?7h"))
        router.emit("note", key1="1")
        self.wait_for("what was handled", lambda: shown("█".encode()))
        self.assertGreater(seen[0].count(b"\x1b[H"), 1)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(), -signal.SIGINT)
        os.close(ours)
