"""Health and metrics over HTTP (setting `probe`)."""

import os
import re
import socket
import subprocess
import urllib.error
import urllib.request

from harness import Case

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
RULES = """
local herald = require "herald"
herald.subscribe { queue = "$queue", from = herald.fanout "$exchange", retry = { attempts = 9, delay = "1h" } }
herald.on("note", "*", function(msg, tx)
  if msg.business_key1 == "bad" then error "no such course" end
end)
herald.route { type = "note", to = herald.fanout "$exchange" }
"""


class Probe(Case):
    def start(self, **settings):
        """A router with a probe at any free port; and how to get a path: (status, text)."""
        router = self.router({"rules/a.lua": RULES}, probe="127.0.0.1:0", **settings)
        router.start(ready="broker" not in settings)
        line, = self.wait_for("the probe", lambda: router.events("probe.listening"))
        self.port = int(re.search(r"port=(\d+)", line)[1])
        return router

    def get(self, path, method="GET"):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def metric(self, name):
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics")[1], re.M)
        return found and float(found[1])

    def test_health(self):
        """A router that works says so, and nothing else is told."""
        self.start()
        self.assertEqual(self.get("/live"), (200, "alive\n"))
        self.assertEqual(self.get("/startup"), (200, "started\n"))
        self.wait_equal("it to be ready", lambda: self.get("/ready"), (200, "ready\n"))
        for path in ("/", "/ready/", "/../ready", "/status", "/live%00", "//live"):
            self.assertEqual(self.get(path), (404, "not found\n"))
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
            self.assertEqual(self.get("/live", method)[0], 405)
        self.assertEqual(self.get("/live", "HEAD"), (200, ""))

    def test_a_broker_that_is_away(self):
        """Not ready, with the broker's words; alive and started all the same, or an orchestrator
        would kill it over and over."""
        relay, url = self.relay()
        router = self.start(broker=url)
        status, text = self.wait_for("its words", lambda: (
            lambda answer: "refused" in answer[1].lower() and answer)(self.get("/ready")))
        self.assertEqual(status, 503)
        self.assertEqual(self.get("/startup")[0], 200)
        self.assertEqual(self.get("/live")[0], 200)
        self.assertEqual(self.metric("herald_broker_up"), 0)
        router.emit("note", "early")
        self.wait_for("it to be late", lambda: self.metric("herald_outbox_late_seconds"))
        relay.open()
        self.wait_equal("it to be ready", lambda: self.get("/ready"), (200, "ready\n"))
        self.wait_equal("nothing to be late", lambda: self.metric("herald_outbox_late_seconds"), 0)
        self.assertEqual(self.metric("herald_broker_up"), 1)

    def test_metrics(self):
        """They count, Prometheus can read them, and docs/metrics.md names each."""
        router = self.start()
        router.emit("note", "good", count=3)
        router.emit("note", "bad")
        self.wait_equal("what was handled", lambda: self.metric("herald_handled_total"), 3)
        queue = self.names["queue"]
        self.wait_equal("the retry", lambda: self.metric(f'herald_queue_retries{{queue="{queue}"}}'), 1)
        self.assertEqual(self.metric("herald_failed_total"), 1)
        self.assertEqual(self.metric("herald_dead_letters"), 0)
        self.assertEqual(self.metric("herald_confirmed_total"), 4)
        text = self.get("/metrics")[1]
        self.assertNotIn("no such course", text)
        self.assertNotIn("bad", text)
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                                 capture_output=True, check=False)
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))
        with open(f"{ROOT}/docs/metrics.md", encoding="utf-8") as paper:
            told = re.findall(r"^\| `(herald_\w+)` \| (\w+) \|", paper.read(), re.M)
        self.assertEqual(sorted(told), sorted(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M)))

    def test_alert_rules(self):
        """examples/monitoring: the alerts fire when they should, and name metrics that exist."""
        folder = f"{ROOT}/examples/monitoring"
        tested = subprocess.run(["promtool", "test", "rules", "alerts_test.yml"], cwd=folder, text=True,
                                capture_output=True, check=False)
        self.assertEqual(tested.returncode, 0, tested.stdout + tested.stderr)
        self.start()
        with open(f"{folder}/alerts.yml", encoding="utf-8") as rules:
            named = set(re.findall(r"\bherald_\w+", " ".join(re.findall(r"expr: (.*)", rules.read()))))
        self.assertGreater(len(named), 5)
        types = {name for name, _ in re.findall(r"^# TYPE (\S+) (\S+)$", self.get("/metrics")[1], re.M)}
        self.assertEqual(named - types, set())

    def test_bad_clients(self):
        """Who is slow, large or one of too many is hung up on; the work goes on, and so does the
        probe."""
        router = self.start()
        slow = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(100)]
        for s in slow:
            self.addCleanup(s.close)
            s.sendall(b"GET /live HTTP/1.1\r\nHost: a\r\nX-")
        router.emit("note", "good", count=20)
        self.wait_equal("the work", lambda: router.counter("handled"), 20)
        for s in slow:
            s.close()
        self.wait_for("an answer", lambda: self.get("/live")[0] == 200)
        for bad in (b"\0\xff" * 1000, b"GET /live\r\n\r\n", b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
                    b"GET /live HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"y" * 100000 + b"\r\n\r\n",
                    b"POST /live HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", self.port)) as s:
                try:
                    s.sendall(bad)
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(65536):
                        pass
                except OSError:
                    pass  # hung up on
        self.assertEqual(self.get("/live"), (200, "alive\n"))

    def test_an_address_that_cannot_be_had(self):
        """Said at the start, with the address, and by `herald check` where it is none."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            router = self.router({"rules/a.lua": RULES}, probe=address)
            failed = router.run("run", code=2)
        self.assert_words(failed.err, f"probe: cannot listen at {address}: .*in use.*: choose another")
        for bad in ("9121", "localhost:9121", "127.0.0.1", "127.0.0.1:70000", "[::1:9121", ":9121", "1.2.3.4:+1"):
            router.write("herald.lua", f'return {{ probe = "{bad}" }}')
            self.assert_words(router.run("check", code=1).out, "'probe' is .* must be HOST:PORT")
            self.assert_words(router.run("run", code=2).err, "'probe' is .* must be HOST:PORT")
