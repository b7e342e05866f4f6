"""Measures how long a router takes for many rules: to load them, to reload, to check them.

    python3 tests/bench/load.py [--pairs N] [--limit SECONDS] HERALD [HERALD...]

A pair is a route and a handler, written out, a thousand pairs a file. Give a build to compare
with as a second binary: machines differ, only the ratio in one run means much. Seconds of wall
time on an idle core; "-" is a failure or a limit.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time

PAIR = """herald.route { type = "t%d", to = herald.fanout "x%d" }
herald.on("t%d", "*", function(msg, tx)
  tx:exec("insert into seen values (?)", msg.business_key1)
end)
"""
FILE_PAIRS = 1000


def write_file(folder, number, pairs):
    with open(f"{folder}/rules/pairs{number:04}.lua", "w") as out:
        out.write('local herald = require "herald"\n')
        for n in range(number * FILE_PAIRS, min((number + 1) * FILE_PAIRS, pairs)):
            out.write(PAIR % (n, n % 50, n))


def make_router(folder, pairs):
    for below in "rules", "migrations":
        os.makedirs(f"{folder}/{below}")
    with open(f"{folder}/herald.lua", "w") as out:
        out.write('return { broker = "embedded", handler_memory = "1GiB", log_level = "error" }\n')
    with open(f"{folder}/migrations/001.sql", "w") as out:
        out.write("create table seen (key1 text);\n")
    with open(f"{folder}/rules/all.lua", "w") as out:
        out.write('local herald = require "herald"\n'
                  'herald.subscribe { queue = "q", from = herald.fanout "x0" }\n')
    for number in range((pairs + FILE_PAIRS - 1) // FILE_PAIRS):
        write_file(folder, number, pairs)


def timed(command, limit):
    began = time.monotonic()
    try:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=limit)
    except subprocess.TimeoutExpired:
        return None
    return time.monotonic() - began if done.returncode == 0 else None


def measure(herald, folder, limit):
    """Seconds to be ready, to reload with one handler changed, and to check."""
    began = time.monotonic()
    router = subprocess.Popen([herald, "-C", folder, "run"], stdout=subprocess.PIPE, text=True)
    try:
        ready = "ready" in router.stdout.readline()
        load = time.monotonic() - began
        reload = None
        if ready:
            with open(f"{folder}/rules/pairs0000.lua", "a") as out:
                out.write("-- changed\n")
            reload = timed([herald, "-C", folder, "reload"], limit)
    finally:
        router.terminate()
        router.wait()
    return load if ready else None, reload, timed([herald, "-C", folder, "check"], limit)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=10000)
    parser.add_argument("--limit", type=float, default=120)
    parser.add_argument("herald", nargs="+")
    args = parser.parse_args()
    print(f"{args.pairs} pairs: seconds to load, to reload, to check")
    for herald in args.herald:
        folder = tempfile.mkdtemp(prefix="herald-load-")
        try:
            make_router(folder, args.pairs)
            times = measure(os.path.abspath(herald), folder, args.limit)
        finally:
            shutil.rmtree(folder)
        print("  ".join("-" if t is None else f"{t:.2f}" for t in times), "", herald)


if __name__ == "__main__":
    sys.exit(main())
