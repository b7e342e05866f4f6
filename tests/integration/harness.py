"""harness: router folders, router processes, and waiting for what must become true.

A test derives from Case. Everything it makes lies in its own folder and has names of its own
on the broker, so tests do not see each other, and may run side by side; at its end every router must
stop in good order and have said nothing that betrays a bug of memory or a password. No test judges
how long a thing takes: machines differ, and others work on them.
"""

import ctypes
import itertools
import json
import os
import re
import resource
import signal
import socket
import sqlite3
import string
import subprocess
import sys
import time
import unittest

import proxy
import rabbit

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
EXAMPLE = os.path.join(ROOT, "examples", "course-enrolment")

# Signs of a bug in what a router wrote, whatever the test was about.
BUGS = ("AddressSanitizer", "LeakSanitizer", "runtime error", "leftover_handles", "invariant")

PATIENCE = 120  # seconds without any change, until what must happen counts as never happening
POLL = 0.02
SETTLED = 0.3  # the watch of the files looks 0.2 s after their last change
COMMAND_SECONDS = 2 * PATIENCE  # for a command to end
LOOK_SECONDS = 0.5  # at a process that should rest

# Records every message it is given; a test adds rules of its own or replaces this one.
RECORD = """
create table effect (
  id integer primary key, queue text, message_id text, type text,
  key1 text, key2 text, key3 text, attempt integer, raw blob
);
"""
RULES = """
local herald = require "herald"
herald.route { type = "note", to = herald.fanout "$exchange" }
herald.subscribe {
  queue = "$queue", from = herald.fanout "$exchange",
  retry = { attempts = 3, delay = "20ms", factor = 1 },
}
local function record(msg, tx)
  tx:exec("insert into effect (queue, message_id, type, key1, key2, key3, attempt, raw) "
    .. "values (?, ?, ?, ?, ?, ?, ?, ?)", msg.queue, msg.id, msg.type, msg.business_key1,
    msg.business_key2, msg.business_key3, msg.attempt, msg.raw)
end
herald.on("note", "*", record)
"""
RECORDER = {"migrations/001_effect.sql": RECORD, "rules/a.lua": RULES}

libc = ctypes.CDLL(None)
numbers = itertools.count(1)


class World:
    """What all tests of a worker share; run.py and crew.py fill it in."""

    herald = None  # path of the binary
    folder = None  # everything is made below
    node = None  # the broker (rabbit.Node), which others use, too, unless the test disturbs it
    alive = staticmethod(lambda: None)  # to be called whenever a test gets on
    long = False
    seed = 0  # of all random choices
    processes = []  # of every router that was started
    looked_at = set()  # commands that were looked at for leaks


def disturbs(thing):
    """Marks a test, or all of a class: it stops, fills or configures its broker, so it gets one
    that nobody else uses meanwhile."""
    thing.disturbs = True
    return thing


def takes_long(thing):
    """Marks a test that is among the first to begin, so that nobody waits for it at the end."""
    thing.takes_long = True
    return thing


def die_with_parent():
    libc.prctl(1, signal.SIGKILL)


def has_points():
    """Whether the binary looks at HERALD_FAIL."""
    with open(World.herald, "rb") as program:
        return b"HERALD_FAIL" in program.read()


def processor_time(pid):
    """Nanoseconds that its threads had the processor for."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as stat:
                total += int(stat.read().split()[0])
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            pass
    return total


def has_socket(pid):
    """Of a process that guards its secrets only root is told; others have to believe it."""
    folder = f"/proc/{pid}/fd"
    try:
        fds = os.listdir(folder)
    except PermissionError:
        return True
    for fd in fds:
        try:
            if os.readlink(os.path.join(folder, fd)).startswith("socket:"):
                return True
        except FileNotFoundError:  # it was closed meanwhile
            pass
    return False


def is_at_rest(pid):
    """Whether it takes less than half of what a process that spins gets beside it, on this
    machine and with whatever else runs on it at this moment."""
    before = processor_time(pid)
    spinner = subprocess.Popen([sys.executable, "-c", "while True: pass"],
                               preexec_fn=die_with_parent)
    try:
        time.sleep(LOOK_SECONDS)
        return 2 * (processor_time(pid) - before) < processor_time(spinner.pid)
    finally:
        spinner.kill()
        spinner.wait()


def lua(value):
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {lua(v)}" for key, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "{ " + ", ".join(lua(v) for v in value) + " }"
    return str(value).lower() if isinstance(value, bool) else str(value)


class Answer:
    """What a command of the command line said."""

    def __init__(self, process, out, err):
        self.code = process.returncode
        self.out = out
        self.err = err


class Router:
    """A router's folder, and at most one process that runs it."""

    fail = None  # HERALD_FAIL of its processes
    sanitizer = None  # one more of ASAN_OPTIONS
    variables = {}  # others of its processes' environment

    def __init__(self, case, name, files, settings, broker):
        self.case = case
        self.name = name
        self.folder = os.path.join(case.folder, name)
        self.broker = broker
        self.process = None
        self.logs = [os.path.join(case.folder, f"{name}.{kind}") for kind in ("out", "err")]
        self.store = os.path.join(self.folder, settings.get("store", "herald.db"))
        self.socket = os.path.join(self.folder,
                                   settings.get("socket", self.store.removesuffix(".db") + ".sock"))
        os.makedirs(self.folder)
        for path, text in files.items():
            self.write(path, text)
        if "herald.lua" not in files:
            pairs = "".join(f"  {key} = {lua(value)},\n" for key, value in settings.items())
            self.write("herald.lua", "return {\n" + pairs + "}\n")

    def write(self, path, text):
        path = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(string.Template(text).safe_substitute(self.case.names))

    def replace(self, path, text):
        """As write, but nobody sees half of it, or nothing."""
        self.write("part", text)
        os.replace(os.path.join(self.folder, "part"), os.path.join(self.folder, path))

    def environment(self, command=None):
        """Whether something leaks takes longer to see than most commands to run: each command is
        looked at once in each of the processes that run tests, and always in test_command_*."""
        keep = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **self.variables}
        keep.update((k, v) for k, v in os.environ.items() if k.endswith("SAN_OPTIONS"))
        if self.broker is not None:
            keep["HERALD_BROKER"] = self.broker
        if self.fail is not None:
            keep["HERALD_FAIL"] = self.fail
        if self.sanitizer is not None:
            keep["ASAN_OPTIONS"] = keep.get("ASAN_OPTIONS", "") + ":" + self.sanitizer
        if command in World.looked_at and "test_command_" not in type(self.case).__module__:
            keep["ASAN_OPTIONS"] = keep.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        elif command is not None:
            World.looked_at.add(command)
        return keep

    # --- the process ---

    def launch(self, *options, limits=None):
        def prepare():
            die_with_parent()
            for kind, value in (limits or {}).items():
                resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))

        self.case.assertFalse(self.running(), f"{self.name} runs already")
        with open(self.logs[0], "ab") as out, open(self.logs[1], "ab") as err:
            self.process = subprocess.Popen(
                [World.herald, "-C", self.folder, "run", *options], stdin=subprocess.DEVNULL,
                stdout=out, stderr=err, env=self.environment(), preexec_fn=prepare)
        World.processes.append(self.process)

    def start(self, *options, ready=True, limits=None):
        """`limits`: {resource.RLIMIT_...: value} of the process."""
        said = len(self.said(0))
        self.launch(*options, limits=limits)
        if ready:
            self.case.wait_for(f"{self.name} to be ready", lambda: "ready:" in self.said(0)[said:])
        else:
            self.case.wait_for(f"{self.name} to listen", self.listens)
        return self

    def listens(self):
        with socket.socket(socket.AF_UNIX) as control:
            return control.connect_ex(self.socket) == 0

    def ask(self, line):
        """A line to the control socket: what its answer's lines of JSON hold."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(30)
            control.connect(self.socket)
            control.sendall(line.encode() + b"\n")
            said = b"".join(iter(lambda: control.recv(65536), b""))
        return [json.loads(one) for one in said.decode().splitlines()]

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, seconds=PATIENCE):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            self.case.fail(f"{self.name} did not end within {seconds} s")
        self.process = None
        return code

    def stop(self, seconds=PATIENCE):
        self.signal(signal.SIGTERM)
        self.case.assertEqual(self.wait_exit(seconds), 0, f"exit code of {self.name} at SIGTERM")

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def die(self, plan):
        """Starts it with this HERALD_FAIL, which is to kill it."""
        self.fail = plan
        self.launch()
        self.fail = None
        self.case.assertEqual(self.wait_exit(), -signal.SIGKILL, f"{self.name} was to die: {plan}")

    def check_alive(self):
        if self.process is not None and self.process.poll() is not None:
            code = self.process.returncode
            self.process = None
            self.case.fail(f"{self.name} ended by itself with code {code}")

    def finish(self):
        """At the end of a test, on every path."""
        try:
            if self.process is not None:
                self.check_alive()
                self.stop(PATIENCE / 2)
        finally:
            if self.process is not None:
                self.kill()
            for i in range(2):
                self.case.check_words(self.said(i), self.name)

    def said(self, which):
        try:
            with open(self.logs[which], encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def events(self, name):
        """The lines of its log with this event."""
        return [line for line in self.said(1).split("\n") if f" {name} " in line + " "]

    # --- the command line ---

    def run(self, *words, code=0, stdin=b"", folder=None, begun=lambda process: None):
        """Runs `herald -C FOLDER WORDS` and checks its exit code."""
        where = [] if folder is False else ["-C", folder or self.folder]
        process = subprocess.Popen(
            [World.herald, *where, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=self.environment(*words[:1]), cwd=self.case.folder,
            preexec_fn=die_with_parent)
        try:
            begun(process)
            out, err = process.communicate(stdin, COMMAND_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
        answer = Answer(process, out.decode(errors="replace"), err.decode(errors="replace"))
        said = answer.out + answer.err
        World.alive()
        self.case.check_words(said, "herald " + " ".join(words)[:80])
        if code == "any":  # but not by a signal
            self.case.assertIn(answer.code, (1, 2), f"exit code of {words}, which said: {said}")
        else:
            self.case.assertEqual(answer.code, code, f"exit code of {words}, which said: {said}")
        return answer

    def change(self, path, text, *words):
        """Writes a file and asks for a reload, with more words. The router looks after its files,
        too; it stands still until the question is there, so that it is not the faster one."""
        def go_on(process):
            try:
                self.case.wait_for("the question",
                                   lambda: has_socket(process.pid) and is_at_rest(process.pid))
            finally:
                self.signal(signal.SIGCONT)

        time.sleep(SETTLED)  # or it would look at once, for a change before this one
        self.signal(signal.SIGSTOP)
        self.write(path, text)
        return self.run("reload", *words, begun=go_on)

    def json(self, *words):
        return json.loads(self.run(*words, "--json").out)

    def status(self):
        return self.json("status")

    def live(self):
        """What the running router says of itself, without the price of a command; {} where it is
        away."""
        try:
            return self.ask('{"ask":"status"}')[0]
        except (OSError, ValueError, IndexError):  # or it ends in the middle of its answer
            return {}

    def counter(self, name):
        """Of the running router."""
        return dict(self.case.wait_for("it to answer", lambda: self.live().get("counters")))[name]

    def dead(self):
        return self.json("dead", "list")

    def emit(self, type_, key1=None, key2=None, key3=None, count=1):
        words = ["emit", "--type", type_, "--count", str(count)]
        for option, key in (("--key1", key1), ("--key2", key2), ("--key3", key3)):
            words += [] if key is None else [option, key]
        return self.json(*words)["ids"]

    # --- the store ---

    def sql(self, script, code=0):
        """Runs a script through the sqlite3 shell, as another program would."""
        done = subprocess.run(["sqlite3", "-bail", self.store], input=f".timeout {PATIENCE}000\n" + script,
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.case.assertEqual(done.returncode, code, done.stderr)
        return done.stdout + done.stderr

    def rows(self, query, *values):
        store = sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=PATIENCE)
        try:
            return store.execute(query, values).fetchall()
        finally:
            store.close()

    def column(self, query, *values):
        return [row[0] for row in self.rows(query, *values)]

    def value(self, query, *values):
        return self.rows(query, *values)[0][0]

    def effects(self):
        return self.column("select key1 from effect order by id")


class Case(unittest.TestCase):
    """One test: its folder, its names, its routers."""

    def setUp(self):
        self.tag = f"t{os.getpid()}-{next(numbers)}"
        self.folder = os.path.join(World.folder, self.tag)
        os.mkdir(self.folder)
        self.routers = []
        self.peers = []
        self.names = {}
        self.named = []
        self.use_names("exchange", "queue")
        self.addCleanup(self.sweep_broker)

    def use_names(self, *words):
        """$word in a router's files becomes a name of this test's own."""
        for word in words:
            self.names[word] = f"{self.tag}-{word}"
            self.named.append(self.names[word])

    def sweep_broker(self):
        for peer in self.peers:
            peer.close()
        if self.peers or any(r.broker not in (None, "embedded") for r in self.routers):
            World.node.remove(self.named)

    def router(self, files=None, name="router", broker="rabbit", **settings):
        """Makes a folder. `broker` goes into HERALD_BROKER: "rabbit" for the shared one, None
        for what the settings say."""
        if broker == "rabbit":
            broker = World.node.url
        router = Router(self, name, RECORDER if files is None else files, settings, broker)
        self.routers.append(router)
        self.addCleanup(router.finish)
        return router

    def recorder(self, rules="", **options):
        """A router with RULES and more of them."""
        return self.router({**RECORDER, "rules/b.lua": 'local herald = require "herald"\n' + rules},
                           **options)

    def peer(self):
        peer = rabbit.Peer(World.node.url)
        self.peers.append(peer)
        return peer

    def relay(self):
        """A wire to the broker that can be cut, and the URL that leads over it."""
        relay = rabbit.Relay(World.node.port)
        self.addCleanup(relay.close)
        return relay, World.node.url_for(rabbit.USER, rabbit.PASSWORD, port=relay.port)

    def proxy(self):
        """A wire with faults (proxy.py), and the URL that leads over it."""
        wire = proxy.Proxy(World.node.port)
        self.addCleanup(wire.close)
        return wire, World.node.url_for(rabbit.USER, rabbit.PASSWORD, port=wire.port)

    # --- waiting ---

    def wait_for(self, what, condition, state=lambda: None):
        """Waits until condition() is true and returns what it gave. While state() gives what was
        never seen before, it gets on."""
        seen = set()
        deadline = 0
        while True:
            asked = time.monotonic()
            value = condition()
            if value:
                World.alive()
                return value
            price = time.monotonic() - asked
            for router in self.routers:
                router.check_alive()
            known, now = len(seen), repr(state())
            seen.add(now)
            if len(seen) > known:
                deadline = time.monotonic() + PATIENCE
                World.alive()
            elif time.monotonic() > deadline:
                self.fail(f"waited for {what}, and for {PATIENCE} s nothing changed; "
                          f"the last answer was {value!r}")
            time.sleep(max(POLL, min(2 * price, 1)))  # who asks by a command leaves others room

    def wait_equal(self, what, function, wanted):
        last = [None]

        def equal():
            last[0] = function()
            return last[0] == wanted

        try:
            self.wait_for(what, equal, lambda: last[0])
        except AssertionError as problem:
            self.fail(f"{problem}: it is {last[0]!r} instead of {wanted!r}")

    def wait_dead(self, router, count):
        """Waits for this many dead letters, and returns them."""
        self.wait_equal(f"{count} dead letters of {router.name}",
                        lambda: router.value("select count(*) from herald_dead"), count)
        return router.dead()

    def wait_drained(self, router):
        self.wait_equal(f"the outbox of {router.name} to be empty",
                        lambda: router.value("select count(*) from herald_outbox"), 0)

    def open_way(self, router, type_="note"):
        """One message goes all its way: a router that is ready may still wait for an exchange."""
        router.emit(type_, "first")
        self.wait_drained(router)

    def wait_resting(self, router):
        """Waits until it does nothing but wait."""
        self.wait_for(f"{router.name} to rest", lambda: is_at_rest(router.process.pid))

    def wait_settled(self, router, queue="queue"):
        """Waits until nothing of a queue is on the broker or with the router."""
        name = self.names.get(queue, queue)

        def settled():
            said = router.live()
            return (said.get("ready"), World.node.depth(name), said.get("unacked")) == (True, 0, 0)

        self.wait_for(f"{name} to be drained", settled)

    # --- checks ---

    def check_words(self, text, whose):
        for word in BUGS:
            self.assertNotIn(word, text, f"a bug, in what {whose} said")
        for secret in rabbit.SECRETS:
            self.assertNotIn(secret, text, f"a password, in what {whose} said")

    def assert_words(self, text, *words):
        for word in words:
            self.assertRegex(text, re.compile(word, re.IGNORECASE))

    def story(self, tail=40):
        """What the routers said last, for a failure."""
        parts = []
        for router in self.routers:
            for kind, which in (("said", 0), ("logged", 1)):
                lines = router.said(which).splitlines()[-tail:]
                parts += [f"--- {router.name} {kind}:", *(line[:400] for line in lines)]
        return "\n".join(parts)
