"""Integration tests: herald's processes, sqlite3 and pika around a real RabbitMQ.

    run.py [--long] [--jobs N] [FILTER...]      a filter is a part of a test's name

HERALD is the path of the binary. Tests run side by side (crew.py), by default two for each core,
on brokers that are started for them; RABBIT_DIR names the folder of one that tests/lib/rabbit.sh
has started, which is used instead for what does not disturb it. SEED repeats the random choices
of a run. Exit code 1 when a test failed or none ran.
"""

import argparse
import concurrent.futures
import os
import signal
import sys
import tempfile
import time
import unittest

import crew
import harness
import rabbit


class Tally:
    """Counts what tests come to, and prints it."""

    def __init__(self):
        self.counts = {"ok": 0, "FAILED": 0, "skipped": 0}

    def note(self, test, outcome):
        self.counts[outcome.word] += 1
        print(f"{outcome.word:<8}{outcome.took:6.1f} s  {crew.name_of(test)}{outcome.reason}",
              *([outcome.said.rstrip()] if outcome.said else []), sep="\n", flush=True)


def flatten(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def chosen(filters):
    found = unittest.defaultTestLoader.discover(harness.HERE, top_level_dir=harness.HERE)
    tests = list(flatten(found))
    for test in tests:
        if not isinstance(test, harness.Case):  # a file that cannot be imported
            sys.exit(f"run.py: {test._exception}")
    for word in filters:
        if not any(word in crew.name_of(test) for test in tests):
            sys.exit(f"run.py: no test has \"{word}\" in its name")
    return [test for test in tests
            if not filters or any(word in crew.name_of(test) for word in filters)]


def brokers(tests, jobs, folder):
    """The shared one, and one for those that disturb. One test at a time needs but one."""
    shared = rabbit.Node(os.environ.get("RABBIT_DIR"), os.path.join(folder, "shared"))
    disturbing = sum(crew.disturbs(test) for test in tests)
    if jobs == 1:
        return [shared, shared]
    if disturbing == len(tests):
        shared = None
    lone = rabbit.Node(None, os.path.join(folder, "lone")) if disturbing else None
    return [shared, lone]


def run(tests, jobs):
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="herald-integration-") as folder:
        pair = brokers(tests, jobs, folder)
        nodes = {node for node in pair if node is not None}
        try:
            with concurrent.futures.ThreadPoolExecutor() as pool:
                list(pool.map(rabbit.Node.start, nodes))
            crew.Crew(tests, *pair, tally.note).run(jobs, folder)
        finally:
            for number in crew.ENDS:  # nothing may interrupt the sweeping
                signal.signal(number, signal.SIG_IGN)
            for node in nodes:
                node.close()
    return tally.counts


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="the long tests, too")
    parser.add_argument("--jobs", type=int, default=2 * os.cpu_count(), metavar="N")
    parser.add_argument("filters", nargs="*", metavar="FILTER")
    return parser.parse_args()


def main():
    options = arguments()
    harness.World.long = options.long
    harness.World.herald = os.path.abspath(
        os.environ.get("HERALD", os.path.join(harness.ROOT, "build", "herald")))
    if not os.access(harness.World.herald, os.X_OK):
        sys.exit(f"run.py: no program {harness.World.herald}: build it, or set HERALD")
    harness.World.seed = int(os.environ.get("SEED", time.time_ns() % 1000000))
    print(f"SEED={harness.World.seed}", flush=True)
    tests = chosen(options.filters)
    for number in crew.ENDS:
        signal.signal(number, crew.on_end)
    try:
        counts = run(tests, max(1, min(options.jobs, len(tests))))
    except KeyboardInterrupt:
        sys.exit("run.py: ended by a signal")
    if counts["skipped"]:
        print(f"{counts['skipped']} skipped")
    print(f"{counts['ok']} passed, {counts['FAILED']} failed")
    sys.exit(0 if counts["FAILED"] == 0 and counts["ok"] > 0 else 1)


if __name__ == "__main__":
    main()
