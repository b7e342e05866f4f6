"""How long it takes until N quorum subscriptions are declared and consumed.

    subscribe.py URL BARE_DECLARE HERALD... [--count N] [--rounds N]

URL is a broker of your own (tests/lib/rabbit.sh), BARE_DECLARE the program of bare_declare.c,
HERALD one or more binaries. Each round measures all of them, each with queues of its own: first
where nothing is there yet, then again (a restart). Time of herald runs from its connection to
the last queue that is consumed, dead-letter queues counted as well. "bare" consumes each queue on
a channel of its own, as herald does, "shared" all of them on 16 channels; the ratio is to the
"bare" of the same round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import pika

PATIENCE_SECONDS = 900


def bare(program, url, prefix, count, *options):
    out = subprocess.run(
        [program, *options, url, prefix, str(count)], check=True, capture_output=True, text=True
    )
    return float(dict(word.split("=") for word in out.stdout.split())["seconds"])


def make_router(folder, url, prefix, count):
    os.makedirs(f"{folder}/rules")
    with open(f"{folder}/herald.lua", "w", encoding="ascii") as settings:
        settings.write(f'return {{ store = "herald.db", broker = "{url}" }}\n')
    with open(f"{folder}/rules/bench.lua", "w", encoding="ascii") as rules:
        rules.write(
            'local herald = require "herald"\n'
            f"for i = 0, {count - 1} do\n"
            f'  herald.subscribe {{ queue = "{prefix}" .. i, queue_type = "quorum",\n'
            f'                     from = herald.fanout "{prefix}" }}\n'
            "end\n"
        )


def herald(program, url, prefix, count, folder):
    """Seconds from link.up of the consuming link until 2 * count queues are consumed."""
    if not os.path.exists(folder):
        make_router(folder, url, prefix, count)
    router = subprocess.Popen(
        [program, "-C", folder, "run"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        return watch(router, count)
    finally:
        router.terminate()
        router.communicate()


def watch(router, count):
    begin = None
    end = time.monotonic() + PATIENCE_SECONDS
    queues = set()
    for line in router.stderr:
        if "link.up" in line and "consume" in line:
            begin = time.monotonic()
        if "broker.consuming" in line:
            queues.add(line.split("queue=")[-1].strip())
        if len(queues) == 2 * count:
            return time.monotonic() - begin
        if time.monotonic() > end:
            break
    sys.exit(f"subscribe.py: only {len(queues)} queues of {2 * count} are consumed")


def drop(url, prefix, count):
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        for number in range(count):
            channel.queue_delete(f"{prefix}{number}")
            channel.queue_delete(f"{prefix}{number}.herald-dead")
        channel.exchange_delete(prefix)


def one_round(args, number, work):
    figures = {}
    for who in ["bare", "shared"] + args.herald:
        prefix = f"s{number}-{len(figures)}-"
        folder = f"{work}/{prefix}"
        for state in ("fresh", "restart"):
            if who == "bare":
                seconds = bare(args.bare, args.url, prefix, args.count)
            elif who == "shared":
                seconds = bare(args.bare, args.url, prefix, args.count, "--shared")
            else:
                seconds = herald(who, args.url, prefix, args.count, folder)
            figures.setdefault(who, {})[state] = seconds
        drop(args.url, prefix, args.count)
    return figures


def show(number, figures):
    for who, states in figures.items():
        for state, seconds in states.items():
            ratio = seconds / figures["bare"][state]
            print(f"{number!s:<7} {state:<8} {seconds:8.2f} s  ratio {ratio:5.2f}  {who}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("bare")
    parser.add_argument("herald", nargs="+")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory() as work:
        for number in range(1, args.rounds + 1):
            rounds.append(one_round(args, number, work))
            show(number, rounds[-1])
    middle = {
        who: {state: statistics.median(r[who][state] for r in rounds) for state in states}
        for who, states in rounds[0].items()
    }
    show("median", middle)
    if args.json:
        print(json.dumps(rounds))


if __name__ == "__main__":
    main()
