#!/usr/bin/python3
"""What messages wait while the admin door is asked: a table.

    flood.py [--url AMQP_URL] [--seconds N] [--rounds N] [HERALD]

HERALD is the binary that is measured (build/herald). Rows are committed at 100 a second; each is
published, delivered, and handled with one insert. A wait lasts from its commit to its handler.
Situations alternate, since a machine's speed drifts; each lasts for N seconds (10), and comes in
each of the rounds (5).

quiet     nobody asks
scrapes   /metrics, 100 times a second
asked     /v1/status and /v1/dead, as often as is answered (`rate`, 50 a second)
flood     16 connections that ask for everything there is, as fast as they can
lines     connections that come and go as fast as they can

Who asks has less priority than the router (nice 19), as if it were another machine: on one
processor nothing else would be measured.
"""

import argparse
import http.client
import itertools
import multiprocessing
import os
import re
import shutil
import socket
import sqlite3
import statistics
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
READY_SECONDS = 60
A_SECOND = 100
RULES = """
local herald = require "herald"
herald.route { type = "note", to = herald.queue "$queue" }
herald.subscribe { queue = "$queue" }
herald.on("note", "*", function(msg, tx)
  tx:exec("insert into seen values (?, ?)", math.tointeger(tonumber(msg.business_key1)), herald.now())
end)
"""


class Router:
    def __init__(self, herald, url):
        self.folder = tempfile.mkdtemp(prefix="herald-flood-")
        self.store = os.path.join(self.folder, "herald.db")
        queue = f"flood{time.monotonic_ns()}"
        self.write("herald.lua", f'return {{ broker = "{url}", admin = "127.0.0.1:0" }}\n')
        self.write("rules/a.lua", RULES.replace("$queue", queue))
        self.write("migrations/1.sql", "create table seen (note integer primary key, at integer not null);")
        self.log = open(os.path.join(self.folder, "log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen([herald, "-C", self.folder, "run"], stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)
        if "ready" not in self.process.stdout.readline():
            raise SystemExit(f"flood.py: no router: {open(self.log.name, encoding='utf-8').read()}")
        with open(self.log.name, encoding="utf-8") as log:
            self.port = int(re.search(r"admin.listening .*port=(\d+)", log.read())[1])

    def write(self, path, text):
        path = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder)


def ask(port, paths, pause, answered):
    """Over one connection, until it is ended."""
    os.nice(19)
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for path in itertools.cycle(paths):
        began = time.monotonic()
        try:
            line.request("GET", path)
            status = line.getresponse()
            status.read()
            with answered.get_lock():
                answered[0] += 1
                answered[1] += status.status == 200
        except OSError:
            line.close()
        time.sleep(max(0, pause - (time.monotonic() - began)))


def knock(port, answered):
    os.nice(19)
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 60) as line:
                line.sendall(b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n"[:40])
            with answered.get_lock():
                answered[0] += 1
        except OSError:
            pass


EVERYTHING = ["/v1/status", "/metrics", "/v1/dead", "/v1/outbox", "/nothing", "/live", "/v1/history"]
SITUATIONS = {
    "quiet": (0, None, ()),
    "scrapes": (1, ask, (["/metrics"], 0.01)),
    "asked": (2, ask, (["/v1/status", "/v1/dead"], 0.04)),
    "flood": (16, ask, (EVERYTHING, 0)),
    "lines": (2, knock, ()),
}


def measure(router, situation, first, seconds):
    """Waits in ms, and how often was asked and answered with 200."""
    n, how, words = SITUATIONS[situation]
    answered = multiprocessing.Array("q", 2)
    askers = [multiprocessing.Process(target=how, args=(router.port, *words, answered), daemon=True)
              for _ in range(n)]
    for asker in askers:
        asker.start()
    time.sleep(1)
    store = sqlite3.connect(router.store, timeout=60, isolation_level=None)
    store.execute("pragma synchronous = full")
    store.execute("pragma wal_autocheckpoint = 0")
    sent, began = {}, time.monotonic()
    for i in range(seconds * A_SECOND):
        time.sleep(max(0, began + i / A_SECOND - time.monotonic()))
        store.execute("insert into herald_outbox (type, business_key1) values ('note', ?)", (str(first + i),))
        sent[first + i] = time.time() * 1000
    took = time.monotonic() - began
    counts = [count / took for count in answered]
    for asker in askers:
        asker.terminate()
        asker.join()
    limit = time.monotonic() + 60
    while store.execute("select count(*) from seen where note >= ?", (first,)).fetchone()[0] < len(sent):
        if time.monotonic() > limit:
            raise SystemExit("flood.py: not all was handled")
        time.sleep(0.1)
    waits = [max(0, at - sent[note]) for note, at in store.execute("select * from seen where note >= ?", (first,))]
    store.close()
    return sorted(waits), counts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="embedded")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("herald", nargs="?", default=os.path.join(ROOT, "build", "herald"))
    args = parser.parse_args()
    router = Router(args.herald, args.url)
    figures = {name: [] for name in SITUATIONS}
    first = 1
    try:
        for _ in range(args.rounds):
            for name in SITUATIONS:
                waits, counts = measure(router, name, first, args.seconds)
                first += args.seconds * A_SECOND
                figures[name].append((waits[len(waits) // 2], waits[len(waits) * 99 // 100], waits[-1], *counts))
    finally:
        router.stop()
    print(f"{'':8} {'p50 ms':>8} {'p99 ms':>8} {'most':>8} {'asked/s':>9} {'200/s':>8}   p99 to quiet, each round")
    for name, rounds in figures.items():
        ratios = [one[1] / quiet[1] for one, quiet in zip(rounds, figures["quiet"])]
        middle = [statistics.median(column) for column in zip(*rounds)]
        print(f"{name:8} {middle[0]:8.1f} {middle[1]:8.1f} {middle[2]:8.1f} {middle[3]:9.0f} {middle[4]:8.0f}   "
              f"{statistics.median(ratios):.2f}: {' '.join(f'{r:.2f}' for r in sorted(ratios))}")


if __name__ == "__main__":
    main()
