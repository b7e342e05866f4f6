"""crew: tests side by side, each worker a process that runs one after the other.

A worker takes the next test when it has ended one. Those that disturb the broker (harness.disturbs)
are run one at a time by the first worker, on a broker of their own. A worker says a word whenever
it gets on; one that has said none for STANDSTILL seconds is asked to fail its test, and is ended
when it cannot do even that.
"""

import io
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
import traceback
import unittest
from multiprocessing.connection import wait

import harness

STANDSTILL = 300  # seconds without a word
GRACE = 60  # seconds to fail in, with the test's own words
WORD_SECONDS = 1  # words in between would tell nothing new
TELL_SECONDS = 60  # a test that runs for longer is told of
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Standstill(Exception):
    """A test did not get on."""


def name_of(test):
    """test_router_way.Way.test_told_twice -> router_way.told_twice"""
    module, _, method = test.id().split(".")
    return module.removeprefix("test_") + "." + method.removeprefix("test_")


def is_marked(test, mark):
    method = getattr(test, test._testMethodName)
    return getattr(method, mark, False) or getattr(test, mark, False)


def disturbs(test):
    return is_marked(test, "disturbs")


class Outcome:
    """How a test went."""

    def __init__(self, word, took, reason="", said=""):
        self.word = word  # "ok", "FAILED" or "skipped"
        self.took = took
        self.reason = reason  # of "skipped"
        self.said = said  # what it printed, and why it failed


class Result(unittest.TestResult):
    """Gathers what one test comes to, and what its routers said where it failed."""

    def __init__(self):
        super().__init__()
        self.troubles = []
        self.reason = ""

    def note(self, test, problem):
        self.troubles.append("".join(self._exc_info_to_string(problem, test)))
        self.troubles.append(test.story() if hasattr(test, "routers") else "")

    addFailure = addError = note

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.reason = f": {reason}"


# --- in a worker -----------------------------------------------------------------------------

def run_one(test):
    result = Result()
    began = time.monotonic()
    random.seed(f"{harness.World.seed} {name_of(test)}")
    printed, sys.stdout = sys.stdout, io.StringIO()
    try:
        test.run(result)
        said = sys.stdout.getvalue()
    finally:
        sys.stdout = printed
    shutil.rmtree(getattr(test, "folder", "/nonexistent"), ignore_errors=True)
    word = "FAILED" if result.troubles else "skipped" if result.reason else "ok"
    return Outcome(word, time.monotonic() - began, result.reason, said + "\n".join(result.troubles))


def on_standstill(_signal, _frame):
    raise Standstill("the test did not get on")


def on_end(_signal, _frame):
    raise KeyboardInterrupt  # the only thing that unittest does not take for a failed test


def say_words(pipe):
    """What a test calls when it gets on."""
    last = [0]

    def say():
        if time.monotonic() - last[0] >= WORD_SECONDS:
            last[0] = time.monotonic()
            pipe.send("word")
    return say


def work(pipe, tests, nodes, folder):
    """The whole life of a worker: a number comes in, that test's outcome goes out."""
    harness.die_with_parent()
    signal.signal(signal.SIGALRM, on_standstill)
    for number in ENDS:
        signal.signal(number, on_end)
    harness.World.folder = folder
    harness.World.alive = say_words(pipe)
    try:
        while True:
            number, disturbing = pipe.recv()
            harness.World.node = nodes[disturbing]
            harness.World.node.alone = disturbing
            pipe.send(run_one(tests[number]))
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        for process in harness.World.processes:
            process.kill()
            process.wait()
        os._exit(0)  # nothing of the parent's is to be tidied here


# --- in the parent ---------------------------------------------------------------------------

class Worker:
    """The parent's side of a worker."""

    def __init__(self, tests, nodes, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(
            target=work, args=(other, tests, nodes, folder), daemon=True)
        self.process.start()
        other.close()
        self.number = None  # of the test it runs
        self.heard = 0
        self.asked = False  # to fail
        self.told = 0  # when it was last told of

    def begin(self, number, disturbing):
        self.number, self.asked = number, False
        self.began = self.heard = self.told = time.monotonic()
        self.pipe.send((number, disturbing))

    def silence(self):
        return time.monotonic() - self.heard

    def end(self):
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def logs(self, tail=40):
        """What its routers said, where it cannot tell itself."""
        parts = []
        for folder, _, files in os.walk(self.folder):
            for name in sorted(files):
                if name.endswith((".out", ".err")):
                    with open(os.path.join(folder, name), errors="replace") as log:
                        parts += [f"--- {name}:", *(x[:400] for x in log.read().splitlines()[-tail:])]
        return "\n".join(parts)


class Crew:
    """Runs tests on two brokers; `told(test, outcome)` hears of each when it has ended."""

    def __init__(self, tests, shared, lone, told):
        self.tests = tests
        self.nodes = {False: shared, True: lone}
        self.told = told
        first = sorted(range(len(tests)), key=lambda n: not is_marked(tests[n], "takes_long"))
        self.waiting = {kind: [n for n in first if disturbs(tests[n]) == kind]
                        for kind in (False, True)}
        self.workers = []

    def run(self, size, folder):
        self.workers = [self.hire(os.path.join(folder, f"w{n}")) for n in range(size)]
        try:
            for place in range(size):
                self.give(place)
            while any(worker.number is not None for worker in self.workers):
                self.hear()
                self.look_after()
        finally:
            for worker in self.workers:
                worker.end()

    def hire(self, folder):
        return Worker(self.tests, self.nodes, folder)

    def give(self, place):
        """The first worker takes what disturbs, and then helps the others."""
        disturbing = place == 0 and bool(self.waiting[True])
        queue = self.waiting[disturbing]
        worker = self.workers[place]
        worker.number = None
        if queue:
            worker.begin(queue.pop(0), disturbing)

    def hear(self):
        pipes = {worker.pipe: place for place, worker in enumerate(self.workers)}
        for pipe in wait(list(pipes), 1):
            place = pipes[pipe]
            worker = self.workers[place]
            try:
                word = pipe.recv()
            except (EOFError, ConnectionResetError):
                word = None
            if word is None:
                self.replace(place, "its process ended")
                continue
            worker.heard = time.monotonic()
            if isinstance(word, Outcome):
                self.told(self.tests[worker.number], word)
                self.give(place)

    def look_after(self):
        for place, worker in enumerate(self.workers):
            if worker.number is None:
                continue
            if worker.heard - worker.told > TELL_SECONDS:
                worker.told = worker.heard
                print(f"at work {worker.heard - worker.began:6.1f} s  "
                      f"{name_of(self.tests[worker.number])}", flush=True)
            if worker.silence() > STANDSTILL and not worker.asked:
                worker.asked = True
                os.kill(worker.process.pid, signal.SIGALRM)
            elif worker.silence() > STANDSTILL + GRACE:
                self.replace(place, f"it said nothing for {worker.silence():.0f} s")

    def replace(self, place, why):
        worker = self.workers[place]
        worker.end()
        if worker.number is not None:
            self.told(self.tests[worker.number], Outcome(
                "FAILED", time.monotonic() - worker.began, "", f"{why}\n{worker.logs()}"))
        shutil.rmtree(worker.folder, ignore_errors=True)
        self.workers[place] = self.hire(worker.folder)
        self.give(place)
