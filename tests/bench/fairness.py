#!/usr/bin/python3
"""How long others wait while one thing never ends: a table, beside another build.

    fairness.py [--against HERALD] [--url AMQP_URL] [--seconds N] [--only WORD]

HERALD is the binary that is measured (build/herald); --against names another one for the same
situations in the same run. --url adds those on a RabbitMQ. Each lasts for N seconds (20).

flood       messages of one queue whose handlers last so many ms; the others are the rows of a
            producer, each published, delivered and handled by the same router
retries     12,000 messages that are due every second, beside the same
unroutable  100,000 postponed rows for an exchange without a queue, beside the same
writer      a program that commits every 2.5 s with a busy time-out of 5 s, beside a flood: how
            often it meets SQLITE_BUSY, and how long it waits from its second commit on

"oldest": the longest wait of the others, in s; what is not done at the end has waited until then.
"flood/s": what the flood itself got.
"""

import argparse
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
READY_SECONDS = 60
RULES = """
local herald = require "herald"
local flood, other = "{prefix}flood", "{prefix}other"
herald.route {{ type = "note", to = herald.queue(other) }}
herald.route {{ type = "lost", to = herald.fanout "{prefix}nowhere" }}
herald.subscribe {{ queue = flood, prefetch = 1000 }}
herald.subscribe {{ queue = other }}
herald.on("note", "*", function(msg, tx)
  tx:exec("insert into seen values (?, ?)", msg.business_key1, herald.now())
end)
herald.on("flood", "*", function(msg, tx)
  local till = os.clock() + {handler_ms} / 1000
  tx:exec("update flood set n = n + 1")
  while os.clock() < till do end
end)
herald.on("poll", "*", function(msg)
  local till = os.clock() + {handler_ms} / 1000
  while os.clock() < till do end
  herald.retry("1s", "not yet")
end)
"""
TABLES = """
create table seen (note integer primary key, at integer not null);
create table flood (n integer not null);
insert into flood values (0);
"""
NUMBERS = "with recursive n(i) as (select 1 union all select i + 1 from n where i < {n}) "
FLOOD = NUMBERS + (
    "insert into herald_queue_item(queue, message_id, type, body, timestamp_s) "
    "select '{prefix}flood', 'f' || i, 'flood', '{{}}', 0 from n")
RETRIES = NUMBERS + (
    "insert into herald_retry(due_at, queue, fingerprint, attempts, first_at, error, message_id, "
    "type, body, timestamp_s) select 1, '{prefix}flood', 0, 1, 1, 'not yet', 'r' || i, 'poll', "
    "'{{}}', 0 from n")
UNROUTABLE = NUMBERS + "insert into herald_outbox(type, due_at) select 'lost', 1 from n"


class Router:
    """One router in a folder of its own."""

    def __init__(self, herald, handler_ms, url, fill="", n=0):
        self.prefix = f"fair{time.monotonic_ns()}_"
        self.folder = tempfile.mkdtemp(prefix="herald-fairness-")
        self.store = os.path.join(self.folder, "herald.db")
        self.herald = herald
        self.url = url
        self.process = None
        words = {"prefix": self.prefix, "handler_ms": handler_ms, "n": n}
        self.write("herald.lua", f'return {{ store = "herald.db", broker = "{url}" }}\n')
        self.write("rules/rules.lua", RULES.format(**words))
        self.write("migrations/001.sql", TABLES)
        self.run("--broker", "embedded", "run", "--until-idle")
        if fill:
            store = self.connect()
            store.execute(fill.format(**words))
            store.close()

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def run(self, *words):
        subprocess.run([self.herald, "-C", self.folder, *words], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def connect(self, timeout=30):
        store = sqlite3.connect(self.store, timeout=timeout, isolation_level=None)
        store.execute("pragma wal_autocheckpoint = 0")
        return store

    def look(self, query):
        store = sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=30)
        try:
            return store.execute(query).fetchall()
        finally:
            store.close()

    def start(self):
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self.process = subprocess.Popen([self.herald, "-C", self.folder, "run"],
                                            stdout=log, stderr=log)
        end = time.monotonic() + READY_SECONDS
        while b"ready" not in self.said():
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit("fairness.py: herald does not start: "
                                 + self.said().decode(errors="replace"))
            time.sleep(0.05)

    def said(self):
        with open(os.path.join(self.folder, "log"), "rb") as log:
            return log.read()

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.folder)


def publish_flood(router, n):
    import pika  # of a RabbitMQ alone

    with pika.BlockingConnection(pika.URLParameters(router.url)) as connection:
        channel = connection.channel()
        channel.queue_declare(router.prefix + "flood", durable=True,
                              arguments={"x-queue-type": "quorum"})
        for number in range(n):
            channel.basic_publish("", router.prefix + "flood", b"{}", pika.BasicProperties(
                delivery_mode=2, type="flood", message_id=f"f{number}",
                content_type="application/json"))


def sweep(router):
    import pika

    with pika.BlockingConnection(pika.URLParameters(router.url)) as connection:
        channel = connection.channel()
        for queue in ("flood", "other"):
            channel.queue_delete(router.prefix + queue)
        channel.exchange_delete(router.prefix + "nowhere")


class Producer(threading.Thread):
    """Commits a row every fifth of a second, or as told; notes since when, and how long it took."""

    def __init__(self, router, timeout=30, pause=0.2):
        super().__init__(daemon=True)
        self.router, self.timeout, self.pause = router, timeout, pause
        self.asked, self.waits, self.busy = {}, [], 0
        self.ending = threading.Event()

    def commit(self, store, number):
        began = time.monotonic()
        self.asked[number] = time.time()
        try:
            store.execute("begin immediate")
            store.execute("insert into herald_outbox(type, business_key1) values ('note', ?)",
                          (str(number),))
            store.execute("commit")
        except sqlite3.OperationalError:
            self.busy += 1
            del self.asked[number]
            if store.in_transaction:
                store.execute("rollback")
        self.waits.append(time.monotonic() - began)

    def run(self):
        store = self.router.connect(self.timeout)
        number = 0
        while not self.ending.wait(self.pause):
            number += 1
            self.commit(store, number)
        store.close()

    def end(self):
        self.ending.set()
        self.join()


def oldest(router, producer):
    """From the begin of its transaction: the longest time until one was handled, or until now."""
    seen = dict(router.look("select note, at from seen"))
    now = time.time()
    return max((seen[n] / 1000 if n in seen else now) - at for n, at in list(producer.asked.items()))


def beside(router, seconds, **options):
    router.start()
    producer = Producer(router, **options)
    before = router.look("select n from flood")[0][0]
    producer.start()
    time.sleep(seconds)
    wait = 0 if not producer.asked else oldest(router, producer)
    rate = (router.look("select n from flood")[0][0] - before) / seconds
    producer.end()
    return producer, wait, rate


def measure_flood(herald, seconds, handler_ms, url):
    n = int(seconds * 1500 / handler_ms) + 2000
    embedded = url == "embedded"
    router = Router(herald, handler_ms, url, FLOOD if embedded else "", n)
    try:
        if not embedded:
            publish_flood(router, n)
        _, wait, rate = beside(router, seconds)
        return f"oldest {wait:6.1f} s   flood/s {rate:6.0f}"
    finally:
        router.stop()
        if not embedded:
            sweep(router)


def measure_filled(herald, seconds, handler_ms, fill, n):
    router = Router(herald, handler_ms, "embedded", fill, n)
    try:
        _, wait, _ = beside(router, seconds)
        return f"oldest {wait:6.1f} s"
    finally:
        router.stop()


def measure_writer(herald, seconds, handler_ms):
    n = int(seconds * 1500 / handler_ms) + 2000
    router = Router(herald, handler_ms, "embedded", FLOOD, n)
    try:
        writer, _, rate = beside(router, seconds, timeout=5, pause=2.5)
        waits = sorted(writer.waits[1:]) or [0]
        p99 = waits[min(len(waits) - 1, len(waits) * 99 // 100)]
        return (f"BUSY {writer.busy}/{len(writer.waits)}   p50 {waits[len(waits) // 2] * 1e3:5.0f}"
                f" p99 {p99 * 1e3:5.0f} ms   flood/s {rate:6.0f}")
    finally:
        router.stop()


def situations(url, seconds):
    for handler_ms in (2, 5, 20):
        yield f"flood {handler_ms} ms, embedded", lambda h, ms=handler_ms: measure_flood(
            h, seconds, ms, "embedded")
    for handler_ms in (2, 5, 20) if url else ():
        yield f"flood {handler_ms} ms, RabbitMQ", lambda h, ms=handler_ms: measure_flood(
            h, seconds, ms, url)
    yield "retries, 12,000 of 2 ms", lambda h: measure_filled(h, seconds, 2, RETRIES, 12000)
    yield "unroutable, 100,000 due rows", lambda h: measure_filled(
        h, seconds, 2, UNROUTABLE, 100000)
    for handler_ms in (5, 20, 50, 100):
        yield f"writer, handlers of {handler_ms} ms", lambda h, ms=handler_ms: measure_writer(
            h, 3 * seconds, ms)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against")
    parser.add_argument("--url")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    builds = {"herald": os.environ.get("HERALD", os.path.join(ROOT, "build", "herald"))}
    if options.against:
        builds["against"] = options.against
    for name, measure in situations(options.url, options.seconds):
        if options.only in name:
            for who, herald in builds.items():
                print(f"{name:<32} {who:<8} {measure(herald)}", flush=True)


if __name__ == "__main__":
    main()
