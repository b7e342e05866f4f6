"""A router as a service manager sees it: a socket that listens as systemd's does."""

import os
import re
import signal
import socket

from harness import PATIENCE, RECORDER, Case


class Service(Case):
    def listen(self, address):
        """Sets what systemd would set, and keeps what is heard."""
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.settimeout(PATIENCE)
        self.addCleanup(self.manager.close)
        self.manager.bind(address)
        self.heard = []

    def variables(self, name):
        return {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "2000000"}

    def supervised(self, files=None, broker="embedded", **settings):
        path = os.path.join(self.folder, "notify")
        self.listen(path)
        router = self.router(RECORDER if files is None else files, broker=broker, **settings)
        router.variables = self.variables(path)
        return router

    def hear(self, pattern):
        """The first datagram from here on with a line that matches."""
        while True:
            said = self.manager.recv(4096).decode()
            self.heard.append(said)
            if any(re.fullmatch(pattern, line) for line in said.splitlines()):
                return said

    def test_ready_figures_reload_stop(self):
        router = self.supervised()
        router.start()
        said = self.hear("READY=1")
        self.assertIn("\nSTATUS=running; broker embedded; 0 in flight, 0 unacked; handled 0,", said)
        self.hear("WATCHDOG=1")
        router.emit("note", "1")
        self.hear("STATUS=.*; handled 1, .*; rules generation 1")

        router.signal(signal.SIGHUP)
        said = self.hear("RELOADING=1")
        self.assertRegex(said, r"\nMONOTONIC_USEC=\d+\n")
        self.hear("READY=1")
        heard = len(self.heard)
        router.run("reload", "--dry-run")
        router.run("reload")
        self.hear("READY=1")
        self.assertEqual(sum("RELOADING=1" in said for said in self.heard[heard:]), 1)

        router.signal(signal.SIGTERM)
        self.assertIn("EXTEND_TIMEOUT_USEC=18000000", self.hear("STOPPING=1").splitlines())
        self.assertEqual(router.wait_exit(), 0)

    def test_an_abstract_socket(self):
        name = f"herald-test-{self.tag}"
        self.listen("\0" + name)
        router = self.router(broker="embedded")
        router.variables = self.variables("@" + name)
        router.start()
        self.hear("READY=1")

    def test_ready_without_the_broker(self):
        router = self.supervised(broker="amqp://127.0.0.1:1/")
        router.start(ready=False)
        self.assertIn("STATUS=running; broker ", self.hear("READY=1"))

    def test_a_start_that_takes_long_asks_for_time(self):
        router = self.supervised({**RECORDER, "migrations/002_long.sql": """
create table long as with recursive c(n) as (select 1 union all select n + 1 from c where n < 100000)
  select n, hex(n) as text from c;
create index long_by_text on long(text);
"""})
        router.variables["WATCHDOG_USEC"] = "40000"  # it looks every 10 ms
        router.start()
        self.hear("EXTEND_TIMEOUT_USEC=60000000")
        self.assertNotIn("READY=1", "".join(self.heard))
        self.hear("READY=1")

    def test_rules_that_are_refused_are_told(self):
        router = self.supervised()
        router.start()
        router.write("rules/a.lua", "nonsense")
        router.run("reload", code=1)
        self.hear("RELOADING=1")
        said = self.hear("READY=1")
        self.assertIn("rules generation 1, the files on disk are refused", said)

    def test_a_start_that_fails_is_never_ready(self):
        router = self.supervised({"rules/a.lua": "nonsense"})
        router.launch()
        self.assertEqual(router.wait_exit(), 2)
        self.manager.settimeout(0)
        with self.assertRaises(BlockingIOError):
            self.hear("READY=1")

    def test_nobody_listens_or_the_name_is_none(self):
        for name in (os.path.join(self.folder, "nobody"), "relative"):
            router = self.router(broker="embedded", name=os.path.basename(name))
            router.variables = self.variables(name)
            router.start()
            router.emit("note", "1")
            self.wait_equal("it to be handled", router.effects, ["1"])
            self.assertEqual(len(router.events("router.unheard")), int(name == "relative"))
            router.stop()
