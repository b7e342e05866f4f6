"""Integration tests: herald's processes, sqlite3 and pika around a real RabbitMQ.

    run.py [--long] [FILTER...]      a filter is a part of a test's name

HERALD is the path of the binary. RABBIT_DIR is the folder of a broker that
tests/lib/rabbit.sh started; without it one is started and stopped here. SEED repeats the
random choices of a run. Exit code 1 when a test failed or none ran.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
import unittest

import harness
import rabbit


ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Overdue(Exception):
    """A test took longer than its limit."""


def on_alarm(_signal, _frame):
    raise Overdue("the test took longer than its limit")


def on_end(_signal, _frame):
    raise KeyboardInterrupt  # the only thing that unittest does not take for a failed test


def name_of(test):
    """test_way.Way.test_told_twice -> way.told_twice"""
    module, _, method = test.id().split(".")
    return module.removeprefix("test_") + "." + method.removeprefix("test_")


class Result(unittest.TestResult):
    """Says how each test went, and what its routers said where it failed."""

    def __init__(self):
        super().__init__()
        self.passed = 0
        self.failed = 0
        self.troubles = []
        self.skipping = ""
        self.began = 0

    def startTest(self, test):
        super().startTest(test)
        self.troubles = []
        self.skipping = ""
        self.began = time.monotonic()
        signal.alarm(test.timeout)

    def note(self, test, problem):
        self.troubles.append("".join(self._exc_info_to_string(problem, test)))
        self.troubles.append(test.story() if hasattr(test, "routers") else "")

    addFailure = addError = note

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.skipping = f": {reason}"

    def stopTest(self, test):
        signal.alarm(0)
        word = "FAILED" if self.troubles else "skipped" if self.skipping else "ok"
        self.failed += word == "FAILED"
        self.passed += word == "ok"
        took = time.monotonic() - self.began
        print(f"{word:<8}{took:6.1f} s  {name_of(test)}{self.skipping}", flush=True)
        if self.troubles:
            print("\n".join(self.troubles), flush=True)
        shutil.rmtree(getattr(test, "folder", "/nonexistent"), ignore_errors=True)
        super().stopTest(test)


def flatten(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def chosen(filters):
    found = unittest.defaultTestLoader.discover(harness.HERE, top_level_dir=harness.HERE)
    tests = [test for test in flatten(found)
             if not filters or any(word in name_of(test) for word in filters)]
    broken = [test for test in tests if not isinstance(test, harness.Case)]
    for test in broken:  # a file that cannot be imported
        sys.exit(f"run.py: {test._exception}")
    return tests


def run(tests):
    result = Result()
    with tempfile.TemporaryDirectory(prefix="herald-integration-") as folder:
        harness.World.folder = folder
        harness.World.node = rabbit.Node(os.environ.get("RABBIT_DIR"), folder)
        try:
            harness.World.node.start()
            for test in tests:
                test.run(result)
        finally:
            signal.alarm(0)
            for number in ENDS:  # nothing may interrupt the sweeping
                signal.signal(number, signal.SIG_IGN)
            for process in harness.World.processes:
                process.kill()
                process.wait()
            harness.World.node.close()
    return result


def main():
    words = sys.argv[1:]
    harness.World.long = "--long" in words
    filters = [word for word in words if not word.startswith("--")]
    if set(words) - set(filters) - {"--long"}:
        sys.exit(__doc__)
    harness.World.herald = os.path.abspath(
        os.environ.get("HERALD", os.path.join(harness.ROOT, "build", "herald")))
    if not os.access(harness.World.herald, os.X_OK):
        sys.exit(f"run.py: no program {harness.World.herald}: build it, or set HERALD")
    seed = int(os.environ.get("SEED", time.time_ns() % 1000000))
    random.seed(seed)
    harness.World.seed = seed
    print(f"SEED={seed}", flush=True)
    signal.signal(signal.SIGALRM, on_alarm)
    for number in ENDS:
        signal.signal(number, on_end)
    try:
        result = run(chosen(filters))
    except KeyboardInterrupt:
        sys.exit("run.py: ended by a signal")
    if result.skipped:
        print(f"{len(result.skipped)} skipped")
    print(f"{result.passed} passed, {result.failed} failed")
    sys.exit(0 if result.failed == 0 and result.passed > 0 else 1)


if __name__ == "__main__":
    main()
