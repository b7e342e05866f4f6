"""proxy: a TCP wire to the broker with every fault that a wire can have.

Both directions are "up" (to the broker) and "down" (from it). All may be changed at any time:

  delay       seconds that each byte is under way
  rate        bytes a second in each direction; None: as fast as it goes
  silent      what is said in these directions is read and lost: {"up"}, {"down"} or both
  answers     cleared, what the broker says waits until it is set again
  cut_at      {"up": N} or {"down": N}: a connection ends, by RST, right after so many bytes of
              that direction; what follows is lost
  cuts        how many connections may still end by cut_at
"""

import collections
import socket
import struct
import threading
import time

CHUNK = 65536


class Proxy:
    def __init__(self, port):
        self.target = port
        self.delay = 0
        self.rate = None
        self.silent = set()
        self.answers = threading.Event()
        self.answers.set()
        self.cut_at = {}
        self.cuts = 0
        self.carried = collections.Counter()  # bytes, by direction
        self.accepted = 0
        self.pairs = []
        self.lock = threading.Lock()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self.target), 10)
                broker.settimeout(None)
            except OSError:
                client.close()
                continue
            for end in (client, broker):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.accepted += 1
                self.pairs.append((client, broker))
            for word, source, sink in (("up", client, broker), ("down", broker, client)):
                Carrier(self, word, source, sink).start()

    def may_cut(self):
        with self.lock:
            self.cuts -= 1
            return self.cuts >= 0

    def passed(self, carrier, data):
        """What is passed on of it."""
        return data

    def heard(self, carrier, data):
        """What is passed on, for whoever wants to look."""

    def cut(self):
        """Ends all connections there are, by RST."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                reset(end)

    def close(self):
        self.server.close()
        self.answers.set()
        self.cut()


def reset(end):
    """The peer sees a connection that was reset, in whatever it is doing."""
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RD)
        end.close()
    except OSError:
        pass


class Carrier:
    """One direction of one connection: a thread that reads, and one that writes when it is time."""

    def __init__(self, proxy, word, source, sink):
        self.proxy = proxy
        self.word = word
        self.source = source
        self.sink = sink
        self.seen = 0
        self.line = collections.deque()
        self.change = threading.Condition()

    def start(self):
        threading.Thread(target=self.read, daemon=True).start()
        threading.Thread(target=self.write, daemon=True).start()

    def put(self, what):
        with self.change:
            self.line.append((time.monotonic() + self.proxy.delay, what))
            self.change.notify()

    def read(self):
        try:
            while True:
                data = self.source.recv(CHUNK)
                if not data:
                    break
                limit = self.proxy.cut_at.get(self.word)
                if limit is not None and self.seen + len(data) >= limit and self.proxy.may_cut():
                    self.put(data[:max(limit - self.seen, 0)])
                    self.put(b"")
                    return
                self.seen += len(data)
                self.put(data)
        except (OSError, ValueError):
            pass
        self.put(b"")

    def write(self):
        try:
            while True:
                with self.change:
                    while not self.line:
                        self.change.wait()
                    when, data = self.line.popleft()
                if not data:
                    break
                time.sleep(max(when - time.monotonic(), 0))
                if self.word == "down":
                    self.proxy.answers.wait()
                self.send(data)
        except (OSError, ValueError):
            pass
        reset(self.source)
        reset(self.sink)

    def send(self, data):
        if self.word in self.proxy.silent:
            return
        data = self.proxy.passed(self, data)
        self.proxy.carried[self.word] += len(data)
        self.proxy.heard(self, data)
        if self.proxy.rate is None:
            self.sink.sendall(data)
            return
        step = max(self.proxy.rate // 50, 1)
        for at in range(0, len(data), step):
            self.sink.sendall(data[at:at + step])
            if self.proxy.rate is not None:
                time.sleep(step / self.proxy.rate)
