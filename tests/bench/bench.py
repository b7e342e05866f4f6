"""The measuring half of run.sh: what a shell cannot time.

    bench.py declare URL NAME               a fanout exchange and an empty quorum queue, both NAME
    bench.py expect URL NAME COUNT          that many messages are in the queue
    bench.py drain DB PID LOG COUNT         herald empties its outbox: rate and CPU
    bench.py handle DB PID LOG COUNT        herald fills the table `seen`: rate and CPU
    bench.py latency URL NAME COUNT [DB]    until a message arrives: from the commit into DB's
                                            outbox, or without DB from a plain publish
    bench.py report [--json] FILE           figures, ratios of each round, their medians; `to_it`
                                            is the ratio to the other build, `of_tls` that of
                                            TLS to plain AMQP

Figures are lines of key=value words, as the bare programs print them.
"""

import json
import os
import random
import sqlite3
import statistics
import sys
import threading
import time

import pika

SAMPLE_SECONDS = 0.005
STALL_SECONDS = 60
READY_SECONDS = 30


def die(text):
    sys.exit("bench.py: " + text)


def connect(url):
    return pika.BlockingConnection(pika.URLParameters(url))


def declare(url, name):
    with connect(url) as connection:
        channel = connection.channel()
        channel.exchange_declare(name, "fanout", durable=True)
        channel.queue_delete(name)
        channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_bind(name, name)


def expect(url, name, count):
    """Waits for the count: a quorum queue's counters lag behind its confirms."""
    with connect(url) as connection:
        channel = connection.channel()
        deadline = time.monotonic() + READY_SECONDS
        while True:
            found = channel.queue_declare(name, passive=True).method.message_count
            if found == int(count):
                return
            if time.monotonic() > deadline:
                die(f"queue {name} holds {found} messages instead of {count}")
            time.sleep(0.1)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def has_ended(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # before it was opened, or before it was read
        return True


def written_ns(db):
    """When the store was written last. The file is looked at and not opened: whoever has the
    store open is a foreign process, for which a router leaves the lock free now and then."""
    try:
        return os.stat(f"{db}-wal").st_mtime_ns
    except FileNotFoundError:
        return 0


def is_linked(log):
    with open(log, encoding="utf-8") as lines:
        return "link.up" in lines.read()


def measure(db, pid, log, messages, query):
    """Counts from the connection to the last write before the router ends by itself."""
    while not is_linked(log):
        if has_ended(pid):
            die("herald ended before it had a connection")
        time.sleep(SAMPLE_SECONDS)
    begin, began_cpu = time.time_ns(), cpu_seconds(pid)
    end, cpu = begin, began_cpu
    changed = time.monotonic()
    while not has_ended(pid):
        now_written = written_ns(db)
        if now_written > end:
            end, cpu, changed = now_written, cpu_seconds(pid), time.monotonic()
        if time.monotonic() - changed > STALL_SECONDS:
            die(f"no progress for {STALL_SECONDS} s")
        time.sleep(SAMPLE_SECONDS)
    done = sqlite3.connect(f"file:{db}?mode=ro", uri=True).execute(query).fetchone()[0]
    if done != messages:
        die(f"herald ended after {done} of {messages} messages")
    seconds = (end - begin) / 1e9
    print(
        f"messages={messages} seconds={seconds:.3f} rate={messages / seconds:.0f} "
        f"cpu_us={(cpu - began_cpu) * 1e6 / messages:.3f}"
    )


def drain(db, pid, log, count):
    measure(db, pid, log, int(count), f"select {int(count)} - count(*) from herald_outbox")


def handle(db, pid, log, count):
    measure(db, pid, log, int(count), "select count(*) from seen")


class Arrivals:
    """A consumer thread that notes when the message with a number came."""

    def __init__(self, url, name):
        self.at = {}
        self.changed = threading.Condition()
        ready = threading.Event()
        threading.Thread(target=self.consume, args=(url, name, ready), daemon=True).start()
        if not ready.wait(READY_SECONDS):
            die("the consumer could not subscribe")

    def consume(self, url, name, ready):
        channel = connect(url).channel()
        channel.basic_qos(prefetch_count=100)
        channel.basic_consume(name, self.note)
        ready.set()
        channel.start_consuming()

    def note(self, channel, method, _properties, body):
        now = time.monotonic()
        with self.changed:
            self.at.setdefault(json.loads(body)["n"], now)
            self.changed.notify_all()
        channel.basic_ack(method.delivery_tag)

    def wait(self, number, seconds):
        with self.changed:
            return self.changed.wait_for(lambda: number in self.at, seconds)


def committer(db):
    store = sqlite3.connect(db, timeout=10, isolation_level=None)
    store.execute("pragma synchronous = full")
    store.execute("pragma wal_autocheckpoint = 0")

    def send(body):
        store.execute("begin immediate")
        store.execute("insert into herald_outbox(type, body) values ('bench', ?)", (body,))
        store.execute("commit")
        return time.monotonic()

    return send


def publisher(url, name):
    channel = connect(url).channel()
    channel.confirm_delivery()
    properties = pika.BasicProperties(delivery_mode=2, type="bench")

    def send(body):
        now = time.monotonic()
        channel.basic_publish(name, "", body, properties, mandatory=True)
        return now

    return send


def latency(url, name, count, db=None):
    arrivals = Arrivals(url, name)
    send = committer(db) if db else publisher(url, name)

    def body_of(number):
        body = json.dumps({"n": number, "pad": ""})
        return body[:-2] + "x" * (256 - len(body)) + body[-2:]

    send(body_of(0))
    if not arrivals.wait(0, READY_SECONDS):
        die(f"the first message did not arrive within {READY_SECONDS} s")
    pause = random.Random(1)
    sent = {}
    for number in range(1, int(count) + 1):
        time.sleep(pause.uniform(0.005, 0.025))
        sent[number] = send(body_of(number))
    if not arrivals.wait(int(count), READY_SECONDS):
        die("the last message did not arrive")
    took = sorted((arrivals.at[number] - at) * 1e3 for number, at in sent.items())
    print(
        f"messages={count} p50_ms={took[len(took) // 2]:.3f} "
        f"p99_ms={took[min(len(took) - 1, len(took) * 99 // 100)]:.3f}"
    )


UNITS = {
    "rate": "msg/s",
    "cpu_us": "us CPU/msg",
    "p50_ms": "ms p50",
    "p99_ms": "ms p99",
}


def read_figures(path):
    """{(measure, figure): {round: {who: value}}}"""
    figures = {}
    with open(path, encoding="ascii") as lines:
        for line in lines:
            words = dict(word.split("=", 1) for word in line.split())
            for figure in UNITS:
                if figure in words:
                    rounds = figures.setdefault((words["measure"], figure), {})
                    of_round = rounds.setdefault(int(words["round"]), {})
                    of_round[words["who"]] = float(words[figure])
    return figures


def summary_of(measure, figure, rounds):
    columns = {}
    for of_round in rounds.values():
        if "bare" in of_round and "herald" in of_round:
            of_round["ratio"] = round(of_round["herald"] / of_round["bare"], 3)
        if "against" in of_round and "herald" in of_round:
            of_round["to_it"] = round(of_round["herald"] / of_round["against"], 3)
        if "tls" in of_round and "herald" in of_round:
            of_round["of_tls"] = round(of_round["tls"] / of_round["herald"], 3)
        for who, value in of_round.items():
            columns.setdefault(who, []).append(value)
    return {
        "measure": measure,
        "figure": figure,
        "rounds": [dict(round=number, **rounds[number]) for number in sorted(rounds)],
        "median": {who: statistics.median(values) for who, values in columns.items()},
    }


def report(*args):
    path = args[-1]
    summaries = [summary_of(*key, rounds) for key, rounds in read_figures(path).items()]
    if not summaries:
        die("nothing was measured")
    columns = ("bare", "herald", "ratio", "against", "to_it", "bare_tls", "tls", "of_tls")
    print(f"{'measure':<10} {'figure':<11} {'':<7}" + "".join(f" {c:>10}" for c in columns))
    for s in summaries:
        for of_round in s["rounds"] + [dict(round="median", **s["median"])]:
            cells = "".join(f" {of_round[c]:>10.6g}" if c in of_round else f" {'-':>10}"
                            for c in columns)
            print(f"{s['measure']:<10} {UNITS[s['figure']]:<11} {of_round['round']!s:<7}{cells}")
    if "--json" in args:
        print(json.dumps(summaries))


COMMANDS = (declare, expect, drain, handle, latency, report)

if __name__ == "__main__":
    command = {c.__name__: c for c in COMMANDS}.get(sys.argv[1] if len(sys.argv) > 1 else "")
    if command is None:
        sys.exit(__doc__)
    command(*sys.argv[2:])
